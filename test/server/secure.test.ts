// Another certificate while the server runs, and what becomes of connections and sessions.
import { once } from 'node:events'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { issueAuthority, issueLeaf } from '../../src/certificates/issue.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { buildServer, secure, type Tls } from '../../src/server/server.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'

const validity = { notBefore: Date.now() - 3_600_000, notAfter: Date.now() + 3_600_000 }

async function leaf() {
  return issueLeaf(await issueAuthority(validity), ['127.0.0.1'], validity)
}

async function start(t: Test, tls?: Tls) {
  const metrics = createMetrics()
  const logger = pino({ level: 'silent' })
  const app = buildServer({ cluster: snapshotOf([]), settings: profiles.generic, logger, metrics, tls })
  t.teardown(async () => {
    await app.close()
    metrics.close()
  })
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, metrics, port: (app.server.address() as AddressInfo).port }
}

/** A connection with one call; whether its session was resumed, the certificate, and the last ticket. */
async function call(port: number, ca: string, more: ConnectionOptions = {}) {
  const socket = connect({ port, host: '127.0.0.1', ca, ...more })
  const tickets: Buffer[] = []
  socket.on('session', ticket => tickets.push(ticket))
  await once(socket, 'secureConnect')
  const { fingerprint256 } = socket.getPeerCertificate()
  const isResumed = socket.isSessionReused()
  const version = socket.getProtocol()
  socket.resume()
  socket.end('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
  await once(socket, 'close')
  return { isResumed, fingerprint256, session: tickets.at(-1), version }
}

t.test('a connection that is open goes on, a new one gets the new certificate', async t => {
  const [one, two] = [await leaf(), await leaf()]
  const { app, port } = await start(t, one)
  const agent = new https.Agent({ keepAlive: true, maxSockets: 1, ca: one.ca })
  t.teardown(() => agent.destroy())
  const get = async () => {
    const request = https.get({ host: '127.0.0.1', port, agent })
    const [response] = await once(request, 'response')
    const { localPort } = response.socket
    response.resume()
    await once(response, 'end')
    return localPort
  }
  const socket = await get()
  secure(app, two)
  t.equal(await get(), socket, 'on the same connection')
  await t.rejects(call(port, one.ca), { code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
  t.ok((await call(port, two.ca)).fingerprint256)
})

for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const)
  t.test(`a session of the old certificate is not resumed, ${maxVersion}`, async t => {
    const [one, two] = [await leaf(), await leaf()]
    const { app, port } = await start(t, one)
    const first = await call(port, one.ca, { maxVersion })
    t.ok((await call(port, one.ca, { maxVersion, session: first.session })).isResumed, 'as long as it is served')
    secure(app, two)
    const trusting = await call(port, one.ca + two.ca, { maxVersion, session: first.session })
    t.notOk(trusting.isResumed)
    t.not(trusting.fingerprint256, first.fingerprint256)
    await t.rejects(call(port, one.ca, { maxVersion, session: first.session }), { code: /^UNABLE_TO_VERIFY/ })
  })

t.test('TLS 1.1 is refused, before and after', async t => {
  const [one, two] = [await leaf(), await leaf()]
  const { app, port } = await start(t, one)
  const old = { minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'DEFAULT:@SECLEVEL=0' } as const
  await t.rejects(call(port, one.ca, old), { code: /PROTOCOL_VERSION/ })
  secure(app, two)
  await t.rejects(call(port, two.ca, old), { code: /PROTOCOL_VERSION/ })
  t.equal((await call(port, two.ca)).version, 'TLSv1.3')
})

t.test('without a certificate no handshake succeeds, until there is one', async t => {
  const one = await leaf()
  const { app, port } = await start(t)
  await t.rejects(call(port, one.ca))
  secure(app, one)
  t.ok((await call(port, one.ca)).fingerprint256)
})

t.test('metrics tell when it expires, and how it was replaced', async t => {
  const { metrics } = await start(t)
  const notAfter = new Date(1_900_000_000_000)
  for (const ca of ['one', 'one', 'two']) metrics.setCertificate({ notAfter, ca })
  metrics.watchBundle(() => false)
  const text = await metrics.registry.metrics()
  t.match(text, '\nsidestep_certificate_not_after_seconds 1900000000\n')
  t.match(text, '\nsidestep_certificate_rotations_total{signer="same"} 1\n')
  t.match(text, '\nsidestep_certificate_rotations_total{signer="new"} 1\n')
  t.match(text, '\nsidestep_ca_bundle_synced 0\n')
})
