// Commands that speak to the sidecar: a Job that ends it with quitquitquit, a script that waits for it. ztunnel has nothing
// on these ports of a pod, so the call fails, and who waits for an answer waits for ever.
import type * as core from '../../apis/core.ts'
import type { Report } from '../report.ts'
import type { Examined } from './index.ts'

/** pilot-agent's ports, and Envoy's administration. */
const call = /quitquitquit|(?:localhost|127\.0\.0\.1|\[::1\]):150(?:00|04|20|21)\b/

export function checkCalls({ spec, fieldOf }: Examined, report: Report): void {
  const lists = { initContainers: spec.initContainers ?? [], containers: spec.containers ?? [] }
  for (const [list, containers] of Object.entries(lists))
    for (const [i, container] of containers.entries())
      for (const [where, text] of textsOf(container)) {
        const [found] = call.exec(text) ?? []
        if (found) report('POD-SIDECAR-CALLED', fieldOf(`spec.${list}[${i}].${where}`), { call: found })
      }
}

function textsOf({
  command = [],
  args = [],
  env = [],
  lifecycle = {},
}: core.Container): [where: string, text: string][] {
  const numbered = (list: string[], name: string) => list.map((text, i): [string, string] => [`${name}[${i}]`, text])
  return [
    ...numbered(command, 'command'),
    ...numbered(args, 'args'),
    ...env.map(({ value = '' }, i): [string, string] => [`env[${i}].value`, value]),
    ...numbered(lifecycle.postStart?.exec?.command ?? [], 'lifecycle.postStart.exec.command'),
    ...numbered(lifecycle.preStop?.exec?.command ?? [], 'lifecycle.preStop.exec.command'),
  ]
}
