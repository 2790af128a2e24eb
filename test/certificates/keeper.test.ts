// What a replica does and says around one Secret and two webhook configurations, in a world without chance.
import t from 'tap'
import { certificatesIn } from '../../src/certificates/source.ts'
import { configurationPaths, lives, type Replica, randomOf, secretPath, World } from './world.ts'

const [mutating = ''] = configurationPaths
const base64 = (text: string) => Buffer.from(text).toString('base64')

/** Until nothing more is written. */
async function rest(world: World, minutes = 3): Promise<void> {
  const end = world.time + minutes * 60_000
  while (world.time < end) await world.step({ faults: false })
}

async function ready(): Promise<{ world: World; replica: Replica }> {
  const world = new World(randomOf(3))
  const replica = world.start()
  await rest(world)
  return { world, replica }
}

function bundleOf(world: World, webhook = 0): string[] {
  const { caBundle = '' } = world.objects.get(mutating).webhooks[webhook].clientConfig
  return certificatesIn(Buffer.from(caBundle, 'base64').toString())
}

t.test('an empty Secret is filled, and every webhook gets the caBundle', async t => {
  const { world, replica } = await ready()
  t.strictSame(replica.keeper.missing(), [])
  t.ok(replica.keeper.isTrusted())
  const { data } = world.objects.get(secretPath)
  t.strictSame(Object.keys(data), ['tls.crt', 'tls.key'])
  for (const webhook of [0, 1]) t.strictSame(bundleOf(world, webhook), [replica.keeper.certificate?.ca])
  t.equal(world.writes, 3)
})

t.test('keys without values are an empty Secret too, and other keys stay', async t => {
  const world = new World(randomOf(3))
  const secret = world.objects.get(secretPath)
  world.put(secretPath, { ...secret, type: 'kubernetes.io/tls', data: { 'tls.crt': '', 'tls.key': '' } })
  const { keeper } = world.start()
  await rest(world)
  t.strictSame(keeper.missing(), [])
  const filled = world.objects.get(secretPath)
  world.put(secretPath, { ...filled, data: { ...filled.data, note: base64('ours') } })
  await rest(world, 130)
  t.equal(world.objects.get(secretPath).data.note, base64('ours'))
  t.not(world.objects.get(secretPath).data['tls.crt'], filled.data['tls.crt'], 'also when the authority changes')
})

t.test('what is missing is said, waited for, and then done', async t => {
  const world = new World(randomOf(3))
  const secret = world.objects.get(secretPath)
  const configuration = world.objects.get(mutating)
  world.remove(secretPath)
  world.remove(mutating)
  const { keeper } = world.start()
  t.strictSame(keeper.missing(), ['Secret sidestep-system/sidestep-ca is not read yet'])
  await rest(world)
  t.strictSame(keeper.missing(), ['Secret sidestep-system/sidestep-ca does not exist; create it without data'])
  world.put(secretPath, secret)
  await rest(world)
  t.strictSame(keeper.missing(), ['MutatingWebhookConfiguration sidestep does not exist'])
  t.notOk(keeper.isTrusted())
  world.put(mutating, { ...configuration, webhooks: [] })
  await rest(world)
  t.strictSame(keeper.missing(), ['MutatingWebhookConfiguration sidestep has no webhooks'])
  world.put(mutating, configuration)
  await rest(world)
  t.strictSame(keeper.missing(), [])
})

t.test('a Secret that somebody filled is left alone, and the reason said', async t => {
  const { world } = await ready()
  const { data: good } = world.objects.get(secretPath)
  const leaf = world.replicas[0]?.keeper.certificate
  const cases: [Record<string, string>, RegExp][] = [
    [{ 'tls.crt': base64('my notes') }, /tls\.crt is not one certificate in PEM/],
    [{ password: base64('1234') }, /tls\.crt is not one certificate in PEM/],
    [{ ...good, 'tls.key': '' }, /tls\.key cannot be read/],
    [{ ...good, 'tls.key': base64(leaf?.key ?? '') }, /tls\.key is not the key of tls\.crt/],
    [{ 'tls.crt': base64(leaf?.cert ?? ''), 'tls.key': base64(leaf?.key ?? '') }, /tls\.crt is no authority/],
    [{ ...good, 'next.crt': base64('x') }, /next\.crt is not one certificate in PEM/],
    [{ ...good, 'former.crt': good['tls.crt'] ?? '', 'former.until': base64('soon') }, /former\.until is no time/],
  ]
  for (const [data, reason] of cases) {
    const other = new World(randomOf(3))
    other.put(secretPath, { ...other.objects.get(secretPath), data })
    const { keeper } = other.start()
    await rest(other)
    t.match(keeper.missing(), [reason])
    t.match(keeper.missing(), [/^Secret sidestep-system\/sidestep-ca holds .*; empty it for a new authority$/])
    t.equal(other.writes, 0)
  }
})

t.test('who has a certificate that is trusted serves on without the Secret, until that expires', async t => {
  const { world, replica } = await ready()
  world.remove(secretPath)
  await rest(world)
  t.strictSame(replica.keeper.missing(), [])
  await rest(world, lives.leaf / 60_000)
  t.match(replica.keeper.missing(), ['the certificate has expired', /^Secret .* does not exist/])
})

t.test('a caBundle that somebody changes is put back; the same one in other words is not', async t => {
  const { world, replica } = await ready()
  const configuration = world.objects.get(mutating)
  const withBundle = (caBundle: string) => ({
    ...configuration,
    webhooks: [{ ...configuration.webhooks[0], clientConfig: { caBundle } }, configuration.webhooks[1]],
  })
  const { writes } = world
  world.put(mutating, withBundle(base64(`# ours\r\n${replica.keeper.certificate?.ca.replaceAll('\n', '\r\n')}`)))
  await rest(world)
  t.equal(world.writes, writes)
  world.put(mutating, withBundle(base64('nobody')))
  await replica.begin(world)
  while (!replica.isIdle) await world.step({ faults: false })
  t.equal(world.writes, writes + 1)
  t.strictSame(bundleOf(world), [replica.keeper.certificate?.ca])
})

t.test('a leaf is renewed at two thirds of its life', async t => {
  const { world, replica } = await ready()
  const first = replica.keeper.certificate
  await rest(world, 35)
  t.equal(replica.keeper.certificate, first)
  await rest(world, 5)
  t.not(replica.keeper.certificate, first)
})
