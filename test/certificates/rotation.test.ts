// Several replicas over many hours of chance (world.ts): what holds at every moment, and that there is peace in the end.
// SIDESTEP_RUNS for more of it, SIDESTEP_SEED to see one again.
import { X509Certificate } from 'node:crypto'
import t, { type Test } from 'tap'
import { validityOf } from '../../src/certificates/issue.ts'
import type { Certificate } from '../../src/certificates/source.ts'
import { configurationPaths, lives, type Replica, randomOf, secretPath, World } from './world.ts'

const runs = Number(process.env.SIDESTEP_RUNS ?? 6)
const firstSeed = Number(process.env.SIDESTEP_SEED ?? 1)
const minute = 60_000
const hour = 60 * minute

t.test(`at every moment each leaf is valid and trusted (seed ${firstSeed})`, async t => {
  for (let run = 0; run < runs; run++) {
    const seed = firstSeed + 2 * run
    const world = await installed(seed)
    const served = new Set<Certificate>()
    const authorities = new Set<string>()
    const end = world.time + 9 * hour
    let violation = ''
    while (world.time < end && !violation) {
      const chance = world.random()
      // Above all while one authority follows another: a replica that starts then has no old leaf to fall back on, and one
      // that is cut off does not hear of it.
      const isChanging = world.objects.get(secretPath).data['next.crt'] !== undefined
      if (chance < (isChanging ? 0.02 : 0.0005)) world.end(world.pick(world.replicas))
      else if (chance > (isChanging ? 0.98 : 0.9995))
        world.pick(world.replicas).cutOffUntil = world.time + world.random() * 2 * hour
      while (world.replicas.length < 3) world.start()
      await world.step()
      for (const replica of world.replicas) {
        const { certificate } = replica.keeper
        if (certificate) served.add(certificate)
        if (certificate) authorities.add(certificate.ca)
        violation ||= violationOf(world, replica)
      }
    }
    for (const certificate of served) verify(t, certificate)
    t.equal(violation, '', `run with SIDESTEP_SEED=${seed} SIDESTEP_RUNS=1`)
    t.ok(authorities.size >= 4, `${authorities.size} authorities, ${served.size} leaves, ${world.writes} writes`)
    await peaceful(t, world, seed)
  }
})

t.test('whatever people do to the Secret and the webhook configurations, it ends well', async t => {
  for (let run = 0; run < runs; run++) {
    const seed = firstSeed + 2 * run
    const world = await installed(seed)
    const end = world.time + 4 * hour
    while (world.time < end) {
      if (world.random() < 0.01) meddle(world)
      while (world.replicas.length < 3) world.start()
      await world.step()
    }
    restore(world)
    await peaceful(t, world, seed)
  }
})

t.test('an emptied Secret gives a new authority, and no leaf is untrusted for a moment', async t => {
  const world = await installed(firstSeed)
  const before = new Set(world.replicas.map(({ keeper }) => keeper.certificate?.ca))
  world.put(secretPath, { ...world.objects.get(secretPath), data: {} })
  const end = world.time + hour
  let violation = ''
  while (world.time < end) {
    await world.step({ faults: false })
    for (const replica of world.replicas) violation ||= violationOf(world, replica)
  }
  t.equal(violation, '')
  for (const { keeper } of world.replicas) t.notOk(before.has(keeper.certificate?.ca), 'signed by the new one')
})

/** Three replicas that have been ready for a while. */
async function installed(seed: number): Promise<World> {
  const world = new World(randomOf(seed))
  for (let i = 0; i < 3; i++) world.start()
  while (!isReady(world)) await world.step()
  const since = world.time
  while (world.time < since + 2 * lives.settle) await world.step({ faults: false })
  return world
}

function isReady({ replicas }: World): boolean {
  return replicas.every(({ keeper }) => keeper.missing().length === 0)
}

/** Of a replica that may be called. One that was cut off until its leaf expired says itself that it may not. */
function violationOf(world: World, { keeper, skew }: Replica): string {
  const { certificate } = keeper
  if (!certificate) return ''
  const { notAfter } = certificate
  const isOver = notAfter.getTime() <= world.time + skew
  if (isOver) return keeper.missing().length > 0 ? '' : 'ready with a leaf that has expired'
  if (world.time < notBeforeOf(certificate)) return 'a leaf that is not valid yet'
  return world.trusts(certificate) ? '' : 'a leaf that not all API servers trust'
}

const notBefores = new WeakMap<Certificate, number>()

function notBeforeOf(certificate: Certificate): number {
  const known = notBefores.get(certificate) ?? validityOf(certificate.cert).notBefore
  notBefores.set(certificate, known)
  return known
}

const verified = new WeakSet<Certificate>()

function verify(t: Test, certificate: Certificate): void {
  if (verified.has(certificate)) return
  verified.add(certificate)
  const leaf = new X509Certificate(certificate.cert)
  if (!leaf.verify(new X509Certificate(certificate.ca).publicKey)) t.fail('a leaf that its authority has not signed')
}

function meddle(world: World): void {
  const secret = world.objects.get(secretPath)
  const path = world.pick(configurationPaths)
  const configuration = world.objects.get(path)
  const bundles = (caBundle: string) =>
    configuration &&
    world.put(path, {
      ...configuration,
      webhooks: configuration.webhooks.map((webhook: object) => ({ ...webhook, clientConfig: { caBundle } })),
    })
  const deeds = [
    () => secret && world.put(secretPath, { ...secret, data: {} }),
    () => secret && world.put(secretPath, { ...secret, data: { 'tls.crt': 'cnViYmlzaA==' } }),
    () => world.remove(secretPath),
    () => world.remove(path),
    () => bundles(''),
    () => bundles('cnViYmlzaA=='),
    () => restore(world),
    () => world.end(world.pick(world.replicas)),
  ]
  world.pick(deeds)()
}

function restore(world: World): void {
  const fresh = new World(randomOf(1))
  for (const path of [secretPath, ...configurationPaths])
    if (!world.objects.has(path)) world.put(path, fresh.objects.get(path))
  const secret = world.objects.get(secretPath)
  if (secret.data?.['tls.crt'] === 'cnViYmlzaA==') world.put(secretPath, { ...secret, data: {} })
}

/** Without faults, all of them become ready, agree, and write nothing more. */
async function peaceful(t: Test, world: World, seed: number): Promise<void> {
  for (const replica of world.replicas) replica.cutOffUntil = 0
  const begin = world.time
  let lastWrite = begin
  let { writes } = world
  // A step may be due in these minutes, and another a minute after; but they come to an end.
  const isOver = () => world.time >= begin + (world.time - lastWrite < 2 * minute ? 20 : 10) * minute
  while (!isOver()) {
    await world.step({ faults: false })
    if (world.writes !== writes) lastWrite = world.time
    writes = world.writes
  }
  t.ok(isReady(world), `all are ready: ${world.replicas.flatMap(({ keeper }) => keeper.missing())} (seed ${seed})`)
  t.ok(world.time - lastWrite >= 2 * minute, `at peace (seed ${seed})`)
  for (const { keeper } of world.replicas)
    t.ok(keeper.certificate && world.trusts(keeper.certificate, 0), 'and is trusted')
}
