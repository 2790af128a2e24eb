// `npm run bench:routing`: what one VirtualService costs among many on the same host and gateway, and what a whole cluster
// costs in one `convert`. Times are compared within one run; only the ratios mean something on another machine.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type * as istio from '../src/apis/istio.ts'
import { translate } from '../src/translate/index.ts'
import { profiles } from '../src/translate/profiles.ts'
import { snapshotOf } from '../src/translate/snapshot.ts'

/** A Kubeflow cluster: the dashboard on `/`, and the notebooks beside it, all on host `*`. */
function cluster(count: number): istio.VirtualService[] {
  const notebooks = Array.from({ length: count }, (_, i) =>
    virtualService(`team-${i % 100}`, `lab-${i}`, `/notebook/team-${i % 100}/lab-${i}/`),
  )
  return [virtualService('kubeflow', 'centraldashboard', '/'), ...notebooks]
}

function virtualService(namespace: string, name: string, prefix: string): istio.VirtualService {
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { name, namespace, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      hosts: ['*'],
      gateways: ['kubeflow/kubeflow-gateway'],
      http: [
        {
          match: [{ uri: { prefix } }],
          rewrite: { uri: prefix },
          route: [{ destination: { host: `${name}.${namespace}.svc.cluster.local`, port: { number: 80 } } }],
        },
      ],
    },
  }
}

const counts = [10, 1000, 10_000]
const rounds = 15
const perRound = 200

/** Microseconds of one admission among as many others, the median of rounds that take turns with each other. */
function admissions(): Map<number, number> {
  const clusters = counts.map(count => {
    const objects = cluster(count)
    return { count, snapshot: snapshotOf(objects), object: objects[1 + Math.floor(count / 2)] as istio.VirtualService }
  })
  const times = new Map(counts.map(count => [count, [] as number[]]))
  for (let round = -3; round < rounds; round++) {
    for (const { count, snapshot, object } of clusters) {
      const started = performance.now()
      for (let i = 0; i < perRound; i++) translate(object, snapshot, profiles.kubeflow)
      // The first rounds only warm up the compiler.
      if (round >= 0) times.get(count)?.push(((performance.now() - started) * 1000) / perRound)
    }
  }
  return new Map([...times].map(([count, samples]) => [count, median(samples)]))
}

/** Seconds and peak MiB of `sidestep convert` over a file of as many VirtualServices. */
function conversion(count: number, directory: string): { seconds: number; mebibytes: number } {
  const file = join(directory, `${count}.json`)
  writeFileSync(
    file,
    cluster(count)
      .map(object => JSON.stringify(object))
      .join('\n---\n'),
  )
  const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))
  const measured = `process.on('exit', () => process.stderr.write('\\npeak ' + process.resourceUsage().maxRSS)); process.argv.splice(1, 0, ${JSON.stringify(main)}); await import(${JSON.stringify(main)})`
  const started = performance.now()
  const { status, stderr } = spawnSync(
    process.execPath,
    ['--input-type=module', '-e', measured, 'convert', '-f', file],
    {
      encoding: 'utf8',
      maxBuffer: 1 << 30,
    },
  )
  const seconds = (performance.now() - started) / 1000
  const peak = /peak (\d+)$/.exec(stderr)?.[1]
  if (status !== 0 || !peak) throw new Error(`convert of ${count} ended with ${status}: ${stderr.slice(-500)}`)
  return { seconds, mebibytes: Number(peak) / 1024 }
}

function median(samples: number[]): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

const byCount = admissions()
const base = byCount.get(10) ?? Number.NaN
console.log('| others on the host | one admission | to 10 others |\n| ---: | ---: | ---: |')
for (const [count, time] of byCount) console.log(`| ${count} | ${time.toFixed(0)} µs | ${(time / base).toFixed(2)} |`)

const directory = mkdtempSync(join(tmpdir(), 'sidestep-bench-'))
try {
  const startup = conversion(1, directory).seconds
  console.log(
    `\n| VirtualServices | convert | peak memory | time for each, start left out, to 2,500 |\n| ---: | ---: | ---: | ---: |`,
  )
  let each = 0
  for (const count of [2500, 5000, 10_000]) {
    const { seconds, mebibytes } = conversion(count, directory)
    const own = (seconds - startup) / count
    each ||= own
    console.log(`| ${count} | ${seconds.toFixed(1)} s | ${mebibytes.toFixed(0)} MiB | ${(own / each).toFixed(2)} |`)
  }
} finally {
  rmSync(directory, { recursive: true })
}
