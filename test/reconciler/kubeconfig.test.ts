// What a kubeconfig comes to must not depend on who reads it: we, or the client of Kubernetes.
import { mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { KubeConfig } from '@kubernetes/client-node'
import t from 'tap'
import {
  type Access,
  type Credentials,
  contextOf,
  ownPod,
  plainAccess,
  readAccess,
} from '../../src/reconciler/kubeconfig.ts'

const files = { 'ca.crt': 'an authority', token: 'of the file\n', 'client.crt': 'a certificate', 'client.key': 'a key' }
const server = 'https://api.example.com:6443'
const data = Buffer.from('in the file').toString('base64')

/** What is read here, as cluster and user. */
const plain: Record<string, [cluster: object, user: object]> = {
  'a token': [{ server, 'certificate-authority-data': data }, { token: 'secret' }],
  'a token file': [{ server, 'certificate-authority': 'ca.crt' }, { tokenFile: 'token' }],
  'a token file before a token': [{ server }, { token: 'secret', tokenFile: 'token' }],
  'a certificate': [{ server }, { 'client-certificate-data': data, 'client-key-data': data }],
  'a certificate in files': [{ server }, { 'client-certificate': 'client.crt', 'client-key': 'client.key' }],
  'a file before its data': [{ server, 'certificate-authority': 'ca.crt', 'certificate-authority-data': data }, {}],
  'another name': [{ server, 'tls-server-name': 'inside.example.com' }, { token: 'secret' }],
  'no verification': [{ server, 'insecure-skip-tls-verify': true }, { token: 'secret' }],
  'verification that is asked for': [{ server, 'insecure-skip-tls-verify': false }, { token: 'secret' }],
}

/** What is left to the client. */
const others: Record<string, [cluster: object, user: object]> = {
  'somebody else': [{ server }, { token: 'secret', as: 'ann' }],
  'a password': [{ server }, { username: 'ann', password: 'secret' }],
  'a proxy': [{ server, 'proxy-url': 'http://proxy.example.com' }, { token: 'secret' }],
  'plain HTTP': [{ server: 'http://localhost:8001', 'insecure-skip-tls-verify': true }, {}],
  'an exec plugin': [
    { server },
    {
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: 'echo',
        args: [JSON.stringify({ status: { token: 'secret' } })],
      },
    },
  ],
}

for (const [name, parts] of Object.entries({ ...plain, ...others }))
  t.test(`${name}: the same as from the client`, async t => {
    const file = kubeconfigIn(t.testdir(files), parts)
    const access = readAccess(file)
    const expected = new KubeConfig()
    expected.loadFromFile(file)
    t.equal(access.server, expected.getCurrentCluster()?.server)
    const credentials = await access.credentials()
    const wanted: Credentials = { headers: {} }
    await expected.applyToHTTPSOptions(wanted)
    // The client knows no tokenFile, which kubectl does.
    if ('tokenFile' in parts[1]) wanted.headers.Authorization = 'Bearer of the file'
    t.strictSame({ ...credentials, agent: undefined }, { ...wanted, agent: undefined })
    t.equal(credentials.agent === false, name in plain, 'read here')
  })

t.test('the context that is asked for', async t => {
  const directory = t.testdir(files)
  const file = kubeconfigIn(directory, [{ server }, { token: 'secret' }])
  t.equal(readAccess(file, 'other').server, 'https://other.example.com')
  t.throws(() => readAccess(file, 'absent'), { code: 'KUBECONFIG_INVALID', message: /its contexts are this, other/ })
})

t.test('of several files in KUBECONFIG the first that says something holds, as for kubectl', async t => {
  const config = (current: string | undefined, ...names: string[]) =>
    JSON.stringify({
      'current-context': current,
      contexts: names.map(name => ({ name, context: { cluster: name, user: 'user' } })),
      clusters: names.map(name => ({ name, cluster: { server: `https://${name}.${current}.example.com` } })),
      users: current ? [{ name: 'user', user: { token: current } }] : [],
    })
  const files = { none: config(undefined, 'a'), first: config('b', 'b'), second: config('c', 'b', 'c') }
  const directory = t.testdir(files)
  const path = (...names: string[]) => names.map(name => join(directory, name)).join(delimiter)
  const before = process.env.KUBECONFIG
  t.teardown(() => {
    if (before === undefined) delete process.env.KUBECONFIG
    else process.env.KUBECONFIG = before
  })
  process.env.KUBECONFIG = path('none', 'absent', 'first', 'second')
  t.equal(contextOf(), 'b')
  t.equal(readAccess().server, 'https://b.b.example.com')
  t.equal(readAccess(undefined, 'c').server, 'https://c.c.example.com')
  t.equal(readAccess(undefined, 'a').server, 'https://a.undefined.example.com')
  t.strictSame((await readAccess(undefined, 'c').credentials()).headers, { Authorization: 'Bearer b' })
  process.env.KUBECONFIG = path('second', 'first')
  t.equal(readAccess().server, 'https://c.c.example.com')
  process.env.KUBECONFIG = path('none')
  t.throws(() => readAccess(), { code: 'KUBECONFIG_INVALID', message: /no current context/ })
  process.env.KUBECONFIG = path('absent')
  t.throws(() => readAccess(), { code: 'KUBECONFIG_INVALID' })
})

t.test('what is no kubeconfig is put into words', async t => {
  const directory = t.testdir({ config: '{"clusters": [', list: '[]' })
  for (const name of ['config', 'list', 'absent'])
    t.throws(() => readAccess(join(directory, name)), { code: 'KUBECONFIG_INVALID' }, name)
})

t.test('in a Pod: the same as from the client', async t => {
  const root = t.testdir()
  const directory = join(root, 'var/run/secrets/kubernetes.io/serviceaccount')
  mkdirSync(directory, { recursive: true })
  writeFileSync(join(directory, 'token'), 'of the Pod\n')
  writeFileSync(join(directory, 'ca.crt'), 'a certificate')
  for (const host of ['10.0.0.1', 'fd00::1']) {
    const environment = { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: '443' }
    Object.assign(process.env, environment)
    const expected = new KubeConfig()
    expected.loadFromCluster(root)
    const found = ownPod(environment, directory)
    const access = (found && plainAccess(found)) as Access
    t.equal(access.server, expected.getCurrentCluster()?.server)
    const wanted: Credentials = { headers: {} }
    await expected.applyToHTTPSOptions(wanted)
    wanted.headers.Authorization = 'Bearer of the Pod'
    t.strictSame({ ...(await access.credentials()), agent: undefined }, { ...wanted, agent: undefined })
    t.equal(ownPod({ ...environment, KUBECONFIG: 'config' }, directory), undefined, 'a kubeconfig goes before it')
  }
  t.equal(ownPod({}, directory), undefined)
  t.equal(ownPod({ KUBERNETES_SERVICE_HOST: '10.0.0.1' }, root), undefined, 'without a token')
})

function kubeconfigIn(directory: string, [cluster, user]: [object, object]): string {
  const file = join(directory, 'config')
  const config = {
    'current-context': 'this',
    contexts: [
      { name: 'this', context: { cluster: 'this', user: 'this' } },
      { name: 'other', context: { cluster: 'other', user: 'this' } },
    ],
    clusters: [
      { name: 'this', cluster },
      { name: 'other', cluster: { server: 'https://other.example.com' } },
    ],
    users: [{ name: 'this', user }],
  }
  writeFileSync(file, JSON.stringify(config))
  return file
}

t.test('where there is no kubeconfig at all, that is said', async t => {
  const { HOME, KUBECONFIG } = process.env
  t.teardown(() => Object.assign(process.env, { HOME, ...(KUBECONFIG === undefined ? {} : { KUBECONFIG }) }))
  process.env.HOME = t.testdir()
  delete process.env.KUBECONFIG
  const told = { code: 'KUBECONFIG_INVALID', message: /^there is no kubeconfig: .*; give one with --kubeconfig$/ }
  t.throws(() => readAccess(), told)
  t.throws(() => contextOf(undefined, 'prod'), told, 'not that a context is missing which nobody knows')
})
