import { X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import { certificateFromFiles, selfSignedCertificate, webhookNames } from '../../src/server/certificates.ts'

const names = webhookNames('sidestep-system')

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

t.test('files', async t => {
  const one = await selfSignedCertificate({ names })
  const two = await selfSignedCertificate({ names })
  const old = await selfSignedCertificate({ names, days: -0.001 })
  const dir = t.testdir()
  const file = async (name: string, text: string) => {
    await writeFile(join(dir, name), text)
    return join(dir, name)
  }
  const cert = await file('tls.crt', one.cert)
  const key = await file('tls.key', one.key)

  t.test('give the same certificate back', async t => {
    const { cert: leaf, key: pem, notAfter } = await certificateFromFiles(cert, key)
    t.strictSame({ leaf, pem, notAfter }, { leaf: one.cert, pem: one.key, notAfter: one.notAfter })
  })

  t.test('with a chain name the last certificate as the one to trust', async t => {
    const chain = await file('chain.crt', `${one.cert}\n${two.cert}`)
    const { ca } = await certificateFromFiles(chain, key)
    t.equal(new X509Certificate(ca).fingerprint256, new X509Certificate(two.cert).fingerprint256)
  })

  t.test('that do not fit are refused with a way out', async t => {
    const refused = (certFile: string, keyFile: string, message: RegExp) =>
      t.rejects(certificateFromFiles(certFile, keyFile), { code: 'CERTIFICATE_INVALID', message })
    await refused(join(dir, 'none'), key, /none cannot be read: ENOENT/)
    await refused(key, key, /tls\.key holds no certificate; it must be a PEM file/)
    await refused(cert, cert, /tls\.crt is no valid PEM file/)
    await refused(cert, await file('other.key', two.key), /other\.key is not the key of .*tls\.crt/)
    await refused(await file('old.crt', old.cert), await file('old.key', old.key), /old\.crt expired at .*; renew it/)
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
    await refused(await file('broken.crt', broken), key, /broken\.crt is no valid PEM file/)
  })
})
