// Certificates on a real API server, with failurePolicy Fail: an admission whose webhook is not trusted fails.
import { createHash } from 'node:crypto'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { type ServeOptions, type Serving, serve } from '../../src/main.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import type { Balancer } from './certificates/balancer.ts'
import { admit, bundles, Load, type LoadReport, shakeHands } from './certificates/load.ts'
import { emptySecret, prepare, secretPath, tls } from './certificates/stage.ts'

const perSecond = 50

t.test('certificates', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  const balancer = await prepare(controlPlane)
  t.teardown(() => balancer.stop())
  t.match(await admit(controlPlane), /failed calling webhook/, 'without a replica, nothing is admitted')

  const replicas = await Promise.all([start(t, controlPlane, balancer), start(t, controlPlane, balancer)])
  await t.test('from an empty Secret both replicas become ready', t => fromEmpty(t, controlPlane, balancer, replicas))
  await t.test('three authorities follow each other, and no call fails', t => rotate(t, controlPlane, balancer))
  await t.test('a caBundle that somebody edits is restored', t => edited(t, controlPlane))
  await t.test('a Secret deleted and made again', t => remade(t, controlPlane, balancer))
  await t.test('a Secret filled with rubbish', t => rubbish(t, controlPlane, balancer))
})

async function start(t: Test, controlPlane: ControlPlane, balancer: Balancer): Promise<Serving> {
  const serving = await serve({ ...options, source: { kubeconfig: controlPlane.kubeconfig('sidestep') } })
  const { webhook, ops } = serving
  balancer.endpoints.add({ webhook: webhook?.port ?? 0, ops: ops.port })
  t.teardown(() => serving.close())
  return serving
}

const options: Omit<ServeOptions, 'source'> = {
  settings: profiles.kubeflow,
  part: 'admission',
  tls,
  logger: pino({ level: process.env.SIDESTEP_LOG ?? 'silent' }),
  ports: { webhook: 0, ops: 0 },
  host: '127.0.0.1',
}

async function fromEmpty(t: Test, controlPlane: ControlPlane, balancer: Balancer, replicas: Serving[]) {
  await until('both to be ready', async () => balancer.readyCount === 2)
  t.equal(await admitted(controlPlane), undefined)
  const trusted = await bundles(controlPlane)
  const hands = await Promise.all(replicas.map(({ webhook }) => shakeHands(webhook?.port ?? 0, trusted)))
  t.equal(new Set(hands.map(({ leaf }) => leaf)).size, 2, 'each has a leaf of its own')
  t.equal(new Set(hands.map(({ authority }) => authority)).size, 1, 'by one authority')
  const metrics = await (await fetch(`http://127.0.0.1:${replicas[0]?.ops.port}/metrics`)).text()
  t.match(metrics, /\nsidestep_ca_bundle_synced 1\n/)
  const { metadata } = (await controlPlane.demand('GET', configurationPath)).body
  const managers = metadata.managedFields.map(({ manager }: { manager: string }) => manager)
  t.ok(managers.includes('sidestep-certificates'), 'by a manager of its own')
}

async function rotate(t: Test, controlPlane: ControlPlane, balancer: Balancer) {
  const load = new Load(controlPlane, { port: balancer.port, perSecond })
  await until('four authorities', async () => load.authorities >= 4)
  const report = await load.stop()
  flawless(t, report)
  t.ok(report.leaves.size >= 8, `${report.leaves.size} leaves`)
}

async function edited(t: Test, controlPlane: ControlPlane) {
  const [before] = await bundles(controlPlane)
  const body = [{ op: 'replace', path: '/webhooks/0/clientConfig/caBundle', value: '' }]
  await controlPlane.demand('PATCH', configurationPath, { body, contentType: 'application/json-patch+json' })
  await until('the bundle to be restored', async () => (await bundles(controlPlane)).includes(before ?? ''))
  t.equal(await admitted(controlPlane), undefined)
}

async function remade(t: Test, controlPlane: ControlPlane, balancer: Balancer) {
  const load = new Load(controlPlane, { port: balancer.port, perSecond })
  const before = new Set(await bundles(controlPlane))
  await controlPlane.demand('DELETE', secretPath)
  await controlPlane.apply(await emptySecret)
  await until('a new authority in use', async () => {
    const [newest = ''] = await bundles(controlPlane)
    return !before.has(newest) && (await shakeHands(balancer.port, [newest])) !== undefined
  })
  flawless(t, await load.stop())
}

async function rubbish(t: Test, controlPlane: ControlPlane, balancer: Balancer) {
  const data = { 'tls.crt': Buffer.from('my notes').toString('base64') }
  const { body } = await controlPlane.demand('GET', secretPath)
  // With an update, which leaves nothing of what was there.
  const digest = () => controlPlane.demand('GET', secretPath).then(({ body }) => digestOf(body.data))
  await until('the Secret to be filled', async () => {
    const { metadata } = (await controlPlane.demand('GET', secretPath)).body
    return (await controlPlane.request('PUT', secretPath, { body: { ...body, metadata, data } })).status === 200
  })
  const late = await start(t, controlPlane, balancer)
  const readyz = async () => (await fetch(`http://127.0.0.1:${late.ops.port}/readyz`)).text()
  await until('it to say so', async () => (await readyz()).includes('Secret sidestep-system/sidestep-ca holds what'))
  t.match(await readyz(), /tls\.crt is not one certificate in PEM; empty it for a new authority/)
  t.equal(await digest(), digestOf(data), 'and it is left alone')
  t.equal(await admitted(controlPlane), undefined, 'those who have a certificate serve on')
  const emptied = [{ op: 'remove', path: '/data' }]
  await controlPlane.demand('PATCH', secretPath, { body: emptied, contentType: 'application/json-patch+json' })
  await until('all to be ready', async () => balancer.readyCount === 3)
  t.equal(await admitted(controlPlane), undefined)
}

const configurationPath = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidestep'

/**
 * Right after a change. The API server uses a webhook configuration some time after it has stored it, and nothing shows which
 * one it uses: the first admissions may still go by the one before the change, and the next by what was changed.
 */
async function admitted(controlPlane: ControlPlane): Promise<string | undefined> {
  await until('ten admissions in a row', async () => {
    for (let i = 0; i < 10; i++) if ((await admit(controlPlane)) !== undefined) return false
    return true
  })
  return admit(controlPlane)
}

function flawless(t: Test, { admissions, perSecond, busy, failed, handshakes, refused }: LoadReport): void {
  t.comment(`${admissions} admissions, ${perSecond.toFixed(0)} a second, ${busy} turned away by a busy machine`)
  t.ok(busy < admissions / 2, 'most are answered')
  t.strictSame(failed.slice(0, 3), [], `0 of ${admissions} admissions failed (${failed.length})`)
  t.strictSame(refused.slice(0, 3), [], `0 of ${handshakes} handshakes failed (${refused.length})`)
}

function digestOf(data: object): string {
  return createHash('sha256').update(JSON.stringify(data)).digest('hex')
}
