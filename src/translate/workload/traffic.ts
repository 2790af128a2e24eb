// `traffic.sidecar.istio.io/*`: what went around the sidecar. ztunnel reads none of it and takes everything, so each of them
// has its own consequence (istio/istio#49829).
import type { Context } from '../translation.ts'
import type { Examined } from './index.ts'
import { refusalsAt } from './refusals.ts'

const outbound = ['OutboundPorts', 'OutboundIPRanges']

export function checkTraffic(examined: Examined, context: Context): void {
  const { annotations, fieldOf } = examined
  const fieldFor = (name: string) => fieldOf(`metadata.annotations[${keyOf(name)}]`)
  const given = (name: string) => annotations[keyOf(name)]?.trim()
  const excluded = given('excludeInboundPorts')
  if (excluded) checkInbound(examined, excluded.split(','), fieldFor('excludeInboundPorts'), context)
  // A star is the default: all ports. Everything else leaves ports out that are not known.
  const included = given('includeInboundPorts')
  if (included !== undefined && included !== '*')
    checkInbound(examined, restOf(examined, included), fieldFor('includeInboundPorts'), context)
  for (const what of outbound) {
    if (given(`exclude${what}`)) context.report('POD-OUTBOUND', fieldFor(`exclude${what}`))
    const taken = given(`include${what}`)
    if (taken !== undefined && taken !== '*') context.report('POD-OUTBOUND', fieldFor(`include${what}`))
  }
  if (given('excludeInterfaces')) context.report('POD-INTERFACES', fieldFor('excludeInterfaces'))
  if (given('kubevirtInterfaces')) context.report('POD-INTERFACES-VIRTUAL', fieldFor('kubevirtInterfaces'))
}

function keyOf(name: string): string {
  return `traffic.sidecar.istio.io/${name}`
}

/** Ports that the sidecar left alone, as text. Those on which nobody is refused are only told of. */
function checkInbound({ pod }: Examined, ports: string[], field: string, context: Context): void {
  const trimmed = ports.map(port => port.trim()).filter(Boolean)
  const found = trimmed.flatMap(port => {
    const refusals = refusalsAt(pod, /^\d+$/.test(port) ? Number(port) : undefined, context)
    return refusals ? [{ port, refusals }] : []
  })
  const [first] = found
  if (!first) {
    context.report('POD-INBOUND', field)
    return
  }
  const alike = found.filter(({ refusals }) => refusals === first.refusals).map(({ port }) => port)
  const named = alike.includes('*') ? 'all of them' : `port ${alike.slice(0, 3).join(', ').slice(0, 40)}`
  context.report('POD-INBOUND-REFUSED', field, { ports: named, refusals: first.refusals })
}

/** The container ports that are not among those included; where none are known, all others. */
function restOf({ pod }: Examined, included: string): string[] {
  const taken = included.split(',').map(port => port.trim())
  const rest = pod.ports.map(({ containerPort }) => String(containerPort)).filter(port => !taken.includes(port))
  return rest.length > 0 || pod.ports.length > 0 ? rest : ['*']
}
