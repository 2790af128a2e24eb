// `npm run bench:memory`: what `sidestep serve` has in memory at rest beside a real API server with many VirtualServices, as
// an installation has them: applied by kubectl, with its annotation and managedFields.
//   npm run bench:memory [-- VIRTUAL-SERVICES]
import { setTimeout as pause } from 'node:timers/promises'
import type { KubernetesObject } from '../src/apis/core.ts'
import { type ControlPlane, startControlPlane } from '../test/control-plane/index.ts'
import { createAll, population, surroundings } from '../test/e2e/backfill/population.ts'
import { startWatchingIstiod } from '../test/e2e/controllers/watching-istiod.ts'
import { grantAsDeployed } from '../test/e2e/sidestep.ts'
import { median, type ServeProcess, serveBeside } from './serve.ts'
import { work } from './work.ts'

const [virtualServices = 10_000] = process.argv.slice(2).map(Number)
const goalMebibytes = 200
const restSeconds = 30

interface Row {
  objects: number
  ready: number
  now: number
  peak: number
  heap: number
}

const rows = new Map<string, Row>()

const controlPlane = await startControlPlane()
try {
  await grantAsDeployed(controlPlane)
  const {
    namespaces,
    services,
    virtualServices: notebooks,
  } = population({
    virtualServices,
    policies: 0,
    namespaces: Math.ceil(virtualServices / 20),
  })
  const half = notebooks.length / 2
  rows.set('admission, no VirtualService', await rest(controlPlane, 0, ['--admission-only']))
  await createAll(controlPlane, namespaces)
  await createAll(controlPlane, [...surroundings, ...services, ...notebooks.slice(0, half).map(applied)])
  rows.set('admission, half', await rest(controlPlane, half, ['--admission-only']))
  await createAll(controlPlane, notebooks.slice(half).map(applied))
  rows.set('admission', await rest(controlPlane, notebooks.length, ['--admission-only']))

  const istiod = await startWatchingIstiod(controlPlane)
  const first = await serveBeside(controlPlane, { preload: 'watch-requests.mjs' })
  const { seconds } = await work(first)
  const { now, peak } = first.mebibytes
  await first.stop()
  rows.set('both, having written all companions', { objects: notebooks.length, ready: seconds, now, peak, heap: 0 })
  rows.set('both, started with all companions', await rest(controlPlane, notebooks.length, []))
  await istiod.stop()
} finally {
  await controlPlane.stop()
}

const [none, half] = [...rows.values()]
const whole = rows.get('admission')
console.log('| | VirtualServices | ready | VmRSS at rest | VmHWM | heap after collection |')
console.log('| --- | ---: | ---: | ---: | ---: | ---: |')
for (const [name, { objects, ready, now, peak, heap }] of rows) {
  const memory = [now, peak, heap].map(each => (each ? `${each.toFixed(0)} MiB` : '-')).join(' | ')
  console.log(`| ${name} | ${objects} | ${ready.toFixed(1)} s | ${memory} |`)
}
if (none && half && whole) {
  const each = (field: 'heap' | 'now') => ((whole[field] - half[field]) / (whole.objects - half.objects)) * 1024
  console.log(
    `\neach VirtualService: ${each('heap').toFixed(1)} KiB of the heap, ${each('now').toFixed(1)} KiB of VmRSS`,
  )
}
for (const [name, { now }] of rows)
  if (now > goalMebibytes) {
    console.error(`${name}: ${now.toFixed(0)} MiB are more than ${goalMebibytes} MiB`)
    process.exitCode = 1
  }

/** Starts it, and waits until its memory is that of a process that has nothing to do. */
async function rest(controlPlane: ControlPlane, objects: number, flags: string[]): Promise<Row> {
  const served = await serveBeside(controlPlane, { flags, preload: 'vitals.mjs' })
  const ready = await served.ready()
  const now = median(await residentFor(served, restSeconds))
  const { peak } = served.mebibytes
  const { heap } = await served.ask('collect')
  await served.stop()
  process.stderr.write(`${objects} VirtualServices ${flags.join(' ')}: ${now.toFixed(0)} MiB\n`)
  return { objects, ready, now, peak, heap: heap / 2 ** 20 }
}

/** The second half counts. */
async function residentFor(served: ServeProcess, seconds: number): Promise<number[]> {
  const samples: number[] = []
  for (let second = 0; second < seconds; second++) {
    await pause(1000)
    if (second >= seconds / 2) samples.push(served.mebibytes.now)
  }
  return samples
}

/** As `kubectl apply` sends it. */
function applied(object: KubernetesObject): KubernetesObject {
  const annotations = { 'kubectl.kubernetes.io/last-applied-configuration': `${JSON.stringify(object)}\n` }
  return { ...object, metadata: { ...object.metadata, annotations } }
}
