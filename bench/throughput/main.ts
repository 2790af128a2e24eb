// `npm run bench`: how many admissions one core answers, and how soon, with sidestep and with what else there is. All in one
// run on one core, taking turns, so that the ratios hold on another machine too.
//   npm run bench [-- --contestants sidestep,fastify --payloads virtual-service-no-op --seconds 3 --rounds 1 --json FILE]
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { cpus, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { localCertificate } from '../../test/control-plane/certificate.ts'
import { freePort } from '../../test/control-plane/ports.ts'
import { disagreement } from './agreement.ts'
import type { Contestant } from './contestants/index.ts'
import { buildLoad, writeMix } from './load.ts'
import { type Measurement, measure } from './measure.ts'
import { readOptions } from './options.ts'
import { payloads as allPayloads, type Payload } from './payloads.ts'
import { type Result, report } from './report.ts'
import type { ServerProcess } from './server-process.ts'

const firstWarmUpSeconds = 2
const warmUpSeconds = 0.5

interface Started {
  contestant: Contestant
  server: ServerProcess
  stop(): Promise<void>
}

// Before all else, since it is about what others do here.
const machine = [
  `Node ${process.versions.node}`,
  `${cpus().length} cores (${cpus()[0]?.model.trim()})`,
  `load ${loadavg()[0]?.toFixed(1)}`,
]
const options = readOptions(process.argv.slice(2))
const directory = await mkdtemp(join(tmpdir(), 'sidestep-bench-'))
const running: Started[] = []
// Everything is stopped in finally, which a signal would pass over.
const interrupted = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => interrupted.abort())

try {
  const load = await buildLoad()
  const { key, cert } = await localCertificate()
  const [certFile, keyFile] = [join(directory, 'tls.crt'), join(directory, 'tls.key')]
  await writeFile(certFile, cert)
  await writeFile(keyFile, key)
  const probe = probeOf(allPayloads)

  const versions: string[] = []
  for (const contestant of options.contestants) {
    interrupted.signal.throwIfAborted()
    const its = join(directory, contestant.name)
    await mkdir(its)
    const stage = { directory: its, port: await freePort(), certFile, keyFile, certificate: cert, probe }
    running.push({ contestant, ...(await contestant.start(stage)) })
    versions.push(await contestant.version())
  }
  await demandAgreement(cert)

  const results: Result[] = []
  for (const payload of options.payloads) {
    const mixFile = await writeMix(directory, payload)
    const taking = running.filter(({ contestant }) => isMeasured(contestant, payload))
    const figures = new Map(taking.map(({ contestant }) => [contestant.name, [] as Measurement[]]))
    for (let round = 0; round < options.rounds; round++) {
      // There and back, so that nobody always comes first.
      for (const { contestant, server } of round % 2 === 0 ? taking : taking.toReversed()) {
        interrupted.signal.throwIfAborted()
        process.stderr.write(`${payload.name}, round ${round + 1}, ${contestant.name}\n`)
        const measurement = await measure(load, server, {
          certFile,
          mixFile,
          seconds: options.seconds,
          warmUpSeconds: round === 0 ? firstWarmUpSeconds : warmUpSeconds,
          withLatencies: payload.isMain ?? false,
          onNewConnections: payload.onNewConnections ?? false,
        })
        figures.get(contestant.name)?.push(measurement)
      }
    }
    for (const [contestant, rounds] of figures) results.push({ payload, contestant, rounds })
  }
  process.stdout.write(report(results, [...versions, ...machine]))
  if (options.json) {
    const raw = results.map(({ payload, ...figures }) => ({ payload: payload.name, ...figures }))
    await writeFile(options.json, `${JSON.stringify({ versions, machine, results: raw }, null, 2)}\n`)
  }
} finally {
  await Promise.allSettled(running.map(({ stop }) => stop()))
  await rm(directory, { recursive: true, force: true })
}

/** The first that a server has to answer, which shows that it is up. */
function probeOf([payload]: Payload[]) {
  const body = payload?.mix[0]?.body
  if (!body) throw new Error('there are no payloads')
  return body
}

/** Without flags, those beside the main payloads are only for whom they are there to compare. */
function isMeasured(contestant: Contestant, payload: Payload): boolean {
  return options.isChosen || contestant.isInAll || (payload.isMain ?? false)
}

async function demandAgreement(certificate: string): Promise<void> {
  const problems: string[] = []
  for (const payload of options.payloads) {
    for (const { contestant, server } of running) {
      if (!isMeasured(contestant, payload)) continue
      const problem = await disagreement(contestant, payload, server.url, certificate)
      if (problem) problems.push(`${contestant.name} is disqualified: ${payload.name}: ${problem}`)
    }
  }
  if (problems.length > 0) throw new Error(problems.join('\n'))
}
