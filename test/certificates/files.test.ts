import { X509Certificate } from 'node:crypto'
import { mkdir, rename, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import t from 'tap'
import { certificateFromFiles, followFiles } from '../../src/certificates/files.ts'
import { selfSignedCertificate, webhookNames } from '../../src/certificates/issue.ts'
import { until } from '../control-plane/until.ts'

const names = webhookNames('sidestep-system')

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

t.test('files are followed', async t => {
  const [one, two, three] = await Promise.all([1, 2, 3].map(() => selfSignedCertificate({ names })))
  const dir = t.testdir()
  let number = 0
  /** As the kubelet writes a Secret volume: a new directory, and a symbolic link that is swapped to it. */
  const mount = async (cert = '', key = '') => {
    const version = `..version-${number++}`
    await mkdir(join(dir, version))
    await writeFile(join(dir, version, 'tls.crt'), cert)
    await writeFile(join(dir, version, 'tls.key'), key)
    await symlink(version, join(dir, '..data-new'))
    await rename(join(dir, '..data-new'), join(dir, '..data'))
  }
  await mount(one?.cert, one?.key)
  for (const file of ['tls.crt', 'tls.key']) await symlink(join('..data', file), join(dir, file))
  const files = { certFile: join(dir, 'tls.crt'), keyFile: join(dir, 'tls.key') }
  const errors: string[] = []
  const logger = { info() {}, error: (fields: { err: Error }) => errors.push(fields.err.message) }
  const start = async (pollEvery?: number) => {
    const source = await followFiles(files, logger as never, pollEvery)
    t.teardown(() => source.stop())
    const seen: string[] = []
    source.subscribe(({ cert }) => seen.push(cert))
    return { source, seen }
  }

  t.test('as soon as the volume is swapped', async t => {
    const { source, seen } = await start()
    t.equal(source.certificate()?.cert, one?.cert)
    await mount(two?.cert, two?.key)
    await until('the second certificate', async () => seen.length > 0)
    t.strictSame(seen, [two?.cert])
    t.equal(source.certificate()?.cert, two?.cert)
    t.strictSame(source.missing(), [])
  })

  t.test('and what does not fit is said once, while the one before serves on', async t => {
    const { source, seen } = await start(20)
    await mount(three?.cert, two?.key)
    await until('an error', async () => errors.length > 0)
    await setTimeout(100)
    t.match(errors[0], /is not the key of/)
    t.equal(new Set(errors).size, 1)
    t.equal(source.certificate()?.cert, two?.cert)
    await mount(three?.cert, three?.key)
    await until('the third certificate', async () => seen.length > 0)
    t.equal(source.certificate()?.cert, three?.cert)
  })

  t.test('by looking at them too, where nobody tells', async t => {
    const elsewhere = t.testdir()
    const linked = { certFile: join(elsewhere, 'a.crt'), keyFile: join(elsewhere, 'a.key') }
    await symlink(files.certFile, linked.certFile)
    await symlink(files.keyFile, linked.keyFile)
    const source = await followFiles(linked, logger as never, 20)
    t.teardown(() => source.stop())
    await mount(one?.cert, one?.key)
    await until('the first certificate', async () => source.certificate()?.cert === one?.cert)
  })
})
