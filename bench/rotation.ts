// `npm run bench:rotation`: two replicas behind a balancer, on a real API server that admits nothing without them, while
// authorities and leaves are replaced and the replicas restarted. What counts is how many calls fail: none may.
//   npm run bench:rotation [-- ROTATIONS ADMISSIONS-PER-SECOND]
import { startControlPlane } from '../test/control-plane/index.ts'
import { until } from '../test/control-plane/until.ts'
import { Load, type LoadReport } from '../test/e2e/certificates/load.ts'
import { prepare, ReplicaProcess } from '../test/e2e/certificates/stage.ts'

const [rotations = 20, perSecond = 200] = process.argv.slice(2).map(Number)
/** Enough for 200 a second of 160 ms each. With 128 a machine that is too slow starves sidestep, and leaves expire. */
const atOnce = 32
const columns = [
  ...['', 'authorities', 'leaves', 'admissions', 'a second', 'withheld', 'failed', 'busy', 'p50, p99'],
  ...['handshakes', 'refused'],
]
const rows: (string | number)[][] = []
let failures = 0

const controlPlane = await startControlPlane()
const running = new Set<ReplicaProcess>()
try {
  const balancer = await prepare(controlPlane)
  const start = async () => {
    const replica = await ReplicaProcess.start(controlPlane, balancer)
    running.add(replica)
    return replica
  }
  const replicas = await Promise.all([start(), start()])
  await until('both to be called', async () => balancer.readyCount === 2)

  const paced = { port: balancer.port, perSecond, atOnce }
  let load = new Load(controlPlane, paced)
  await until('the rotations', async () => load.authorities > rotations, { seconds: 60 + 25 * rotations })
  note(`${rotations} rotations`, await load.stop())

  load = new Load(controlPlane, paced)
  for (const old of replicas) {
    await start()
    await until('the new one to be called', async () => balancer.readyCount === 3)
    await old.stop()
    running.delete(old)
  }
  note('rolling restart', await load.stop())
  await balancer.stop()
} finally {
  for (const replica of running) replica.kill()
  await controlPlane.stop()
}
for (const row of [columns, columns.map(() => '---'), ...rows]) console.log(`| ${row.join(' | ')} |`)
process.exitCode = failures > 0 ? 1 : 0

function note(what: string, report: LoadReport): void {
  const { admissions, perSecond, withheld, failed, busy, handshakes, refused, leaves, authorities, milliseconds } =
    report
  rows.push([
    what,
    authorities.size,
    leaves.size,
    admissions,
    Math.round(perSecond),
    withheld,
    failed.length,
    busy,
    `${milliseconds.p50} ms, ${milliseconds.p99} ms`,
    handshakes,
    refused.length,
  ])
  failures += failed.length + refused.length
  console.error(`${what}: ${JSON.stringify(milliseconds)} ms`, ...[...failed, ...refused].slice(0, 10))
}
