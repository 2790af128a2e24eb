// What is issued, as Node and OpenSSL see it. Go sees it in test/e2e/certificates.test.ts.
import { X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import {
  issueAuthority,
  issueLeaf,
  selfSignedCertificate,
  validityOf,
  webhookNames,
} from '../../src/certificates/issue.ts'
import { run } from '../control-plane/run.ts'

const names = webhookNames('sidestep-system')
const hour = 3_600_000
/** Certificates know no milliseconds. */
const now = Math.floor(Date.now() / 1000) * 1000

t.test('a self-signed certificate is for servers, P-256, backdated, and for every name', async t => {
  const { cert, ca, notAfter } = await selfSignedCertificate({ names })
  const x509 = new X509Certificate(cert)
  for (const name of names) t.ok(name === '127.0.0.1' ? x509.checkIP(name) : x509.checkHost(name), name)
  t.ok(x509.checkHost('sidestep.sidestep-system.svc'))
  t.notOk(x509.checkHost('elsewhere'))
  t.equal(x509.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  t.strictSame(x509.keyUsage, ['1.3.6.1.5.5.7.3.1'], 'extended key usage is serverAuth and nothing else')
  t.notOk(x509.ca)
  t.ok(x509.verify(x509.publicKey))
  t.equal(ca, cert)
  const now = Date.now()
  t.ok(Math.abs(now - 3_600_000 - Date.parse(x509.validFrom)) < 60_000)
  t.ok(Math.abs(now + 365 * 24 * 3_600_000 - notAfter.getTime()) < 60_000)
  t.equal(Date.parse(x509.validTo), notAfter.getTime())
})

t.test('a namespace with the longest name gets a certificate', async t => {
  const long = webhookNames('n'.repeat(63))
  const x509 = new X509Certificate((await selfSignedCertificate({ names: long })).cert)
  for (const name of long.slice(2)) t.ok(x509.checkHost(name), name)
})

/** `openssl verify` as a client of a server of this name. */
async function verified(t: Test, cert: string, ca: string, name: string): Promise<string> {
  const dir = t.testdir()
  const [certFile, caFile] = [join(dir, 'leaf.pem'), join(dir, 'ca.pem')]
  await writeFile(certFile, cert)
  await writeFile(caFile, ca)
  const flags = ['-purpose', 'sslserver', '-CAfile', caFile, '-verify_hostname', name]
  const { stdout, stderr } = await run('openssl', ['verify', ...flags, certFile])
  return `${stdout}${stderr}`
}

t.test('a leaf is what OpenSSL accepts from a server, by the authority that signed it and by no other', async t => {
  const validity = { notBefore: now - hour, notAfter: now + 24 * hour }
  const [one, two] = await Promise.all([issueAuthority(validity), issueAuthority(validity)])
  const leaf = await issueLeaf(one, names, { notBefore: now - hour, notAfter: now + hour })
  const service = 'sidestep.sidestep-system.svc'
  t.match(await verified(t, leaf.cert, one.cert, service), /: OK/)
  t.match(await verified(t, leaf.cert, two.cert + one.cert, service), /: OK/, 'in a bundle too')
  t.match(await verified(t, leaf.cert, one.cert, 'elsewhere'), /hostname mismatch/)
  t.match(await verified(t, leaf.cert, two.cert, service), /unable to get local issuer/)
  const x509 = new X509Certificate(leaf.cert)
  for (const name of names) t.ok(name === '127.0.0.1' ? x509.checkIP(name) : x509.checkHost(name), name)
  t.strictSame(validityOf(leaf.cert), { notBefore: now - hour, notAfter: now + hour })
  t.equal(leaf.ca, one.cert)
})

t.test('an authority signs leaves, and nothing that could sign again', async t => {
  const authority = await issueAuthority({ notBefore: now - hour, notAfter: now + 24 * hour })
  const x509 = new X509Certificate(authority.cert)
  t.ok(x509.ca)
  t.equal(x509.publicKey.asymmetricKeyDetails?.namedCurve, 'prime256v1')
  t.strictSame(
    { ...authority, cert: '', key: '' },
    { notBefore: now - hour, notAfter: now + 24 * hour, cert: '', key: '' },
  )
  t.ok(authority.cert.endsWith('-----\n'), 'two in a row are a bundle')
  const dir = t.testdir({ 'ca.pem': authority.cert })
  const { stdout } = await run('openssl', ['x509', '-noout', '-text', '-in', join(dir, 'ca.pem')])
  t.match(stdout, /CA:TRUE, pathlen:0/)
  t.match(stdout, /Key Usage: critical\s+Certificate Sign\s/)
})

t.test('a leaf does not outlast its authority, whose name nobody else has', async t => {
  const [one, two] = await Promise.all([1, 2].map(() => issueAuthority({ notBefore: now, notAfter: now + hour })))
  if (!one || !two) return t.fail()
  const leaf = await issueLeaf(one, names, { notBefore: now, notAfter: now + 24 * hour })
  t.equal(leaf.notAfter.getTime(), now + hour)
  t.not(new X509Certificate(one.cert).subject, new X509Certificate(two.cert).subject)
})
