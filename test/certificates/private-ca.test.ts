// certs/private-ca.sh makes what `--tls-cert` takes, and what API servers accept.
import { X509Certificate } from 'node:crypto'
import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { certificateFromFiles } from '../../src/certificates/files.ts'
import { webhookNames } from '../../src/certificates/issue.ts'
import { run } from '../control-plane/run.ts'

const script = fileURLToPath(new URL('../../certs/private-ca.sh', import.meta.url))

t.test('a pair that fits, for the Service, and the same authority the next time', async t => {
  const dir = join(t.testdir(), 'new')
  const [certFile, keyFile, caFile] = ['tls.crt', 'tls.key', 'ca.crt'].map(file => join(dir, file)) as [
    string,
    string,
    string,
  ]
  t.match(await run('sh', [script, dir, 'apps', 'hook']), { code: 0, stdout: /for hook\.apps\.svc, for 90 days/ })
  const first = await certificateFromFiles(certFile, keyFile)
  t.equal(first.ca, await readFile(caFile, 'utf8'))
  const x509 = new X509Certificate(first.cert)
  for (const name of webhookNames('apps', 'hook'))
    t.ok(name === '127.0.0.1' ? x509.checkIP(name) : x509.checkHost(name), name)
  for (const file of [keyFile, join(dir, 'ca.key')]) t.equal((await stat(file)).mode & 0o777, 0o600)

  t.equal((await run('sh', [script, dir, 'apps', 'hook'])).code, 0)
  const second = await certificateFromFiles(certFile, keyFile)
  t.equal(second.ca, first.ca)
  t.not(second.key, first.key)
})

t.test('it says how it is used', async t => {
  t.match(await run('sh', [script]), { code: 2, stderr: /^usage:/ })
})
