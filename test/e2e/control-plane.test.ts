// Proves the control plane that every other end-to-end test stands on.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { availableOrSkip, controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'
import { startWebhook } from '../control-plane/webhook.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

t.test('serves the CRDs of Istio and of the standard channel', async t => {
  const start = performance.now()
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  t.comment(`ready with standard CRDs in ${elapsed(start)}`)

  t.test('converts a VirtualService of v1alpha3 to v1', async t => {
    await controlPlane.apply({ ...virtualService, apiVersion: 'networking.istio.io/v1alpha3' })
    const stored = await controlPlane.get('virtualservices.v1.networking.istio.io', 'reviews')
    t.equal(stored.apiVersion, 'networking.istio.io/v1')
    t.strictSame(stored.spec, virtualService.spec)
  })

  t.test('refuses selector beside targetRefs, by the rule in the CRD', async t => {
    const { code, stderr } = await controlPlane.kubectl(['apply', '--filename=-'], {
      stdin: JSON.stringify({
        apiVersion: 'security.istio.io/v1',
        kind: 'AuthorizationPolicy',
        metadata: { name: 'both', namespace: 'default' },
        spec: {
          selector: { matchLabels: { app: 'reviews' } },
          targetRefs: [{ group: '', kind: 'Service', name: 'reviews' }],
        },
      }),
    })
    t.equal(code, 1)
    t.match(stderr, 'only one of targetRefs or selector can be set')
  })

  t.test('knows its users, who have only the rights they are given', async t => {
    const whoami = await controlPlane.kubectl(['auth', 'whoami', '--output=json'], { user: 'sidestep' })
    t.match(JSON.parse(whoami.stdout).status.userInfo, {
      username: 'system:serviceaccount:sidestep-system:sidestep',
      groups: ['system:serviceaccounts', 'system:serviceaccounts:sidestep-system', 'system:authenticated'],
    })
    await t.rejects(controlPlane.apply(configMap, { user: 'alice' }), /forbidden/)
    await controlPlane.grant('alice', 'cluster-admin')
    const isAllowed = async () => (await controlPlane.request('GET', '/api/v1/nodes', { user: 'alice' })).status === 200
    await until('the grant to be in effect', isAllowed)
    await t.resolves(controlPlane.apply(configMap, { user: 'alice' }))
  })

  t.test('calls a registered webhook from the first request on, and its successor as well', async t => {
    for (const name of ['first', 'second']) {
      const webhook = await startWebhook(({ kind }) =>
        kind === 'VirtualService' ? [{ op: 'add', path: '/metadata/labels', value: { webhook: name } }] : [],
      )
      t.teardown(() => webhook.close())
      await controlPlane.registerWebhooks(webhook)
      t.equal(webhook.requests.length, 0, 'waiting for it has not called it')
      await controlPlane.apply({ ...virtualService, metadata: { ...virtualService.metadata, name } })
      const stored = await controlPlane.get('virtualservice', name)
      t.equal(stored.metadata.labels.webhook, name)
      t.match(webhook.requests, [{ operation: 'CREATE', name, kind: { version: 'v1' } }])
    }
  })

  t.test('stops without a process or a file left', async t => {
    const { pids, directory } = controlPlane
    t.equal(pids.length, 3, 'the watchdog, etcd and kube-apiserver')
    for (const pid of pids) t.ok(await isRunning(pid))
    const start = performance.now()
    await controlPlane.stop()
    t.comment(`stopped in ${elapsed(start)}`)
    for (const pid of pids) t.notOk(await isRunning(pid))
    t.notOk(existsSync(directory))
    await t.resolves(controlPlane.stop(), 'a second time is no error')
  })
})

t.test('serves the CRDs of the experimental channel, with controllers that clean up', async t => {
  const start = performance.now()
  const controlPlane = await controlPlaneOrSkip(t, { channel: 'experimental', controllers: true })
  if (!controlPlane) return
  t.comment(`ready with experimental CRDs and controllers in ${elapsed(start)}`)

  t.test('has kinds and fields of that channel only', async t => {
    const { stdout } = await controlPlane.kubectl(['get', 'crd', '--output=name'])
    t.match(stdout, 'xmeshes.gateway.networking.x-k8s.io')
    const { code } = await controlPlane.kubectl(['explain', 'httproute.spec.rules.sessionPersistence'])
    t.equal(code, 0)
  })

  t.test('collects what a deleted object owned', async t => {
    await controlPlane.apply(virtualService)
    const { metadata } = await controlPlane.get('virtualservice', 'reviews')
    const { apiVersion, kind } = virtualService
    await controlPlane.apply({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: {
        name: 'reviews',
        namespace: 'default',
        ownerReferences: [{ apiVersion, kind, name: metadata.name, uid: metadata.uid, controller: false }],
      },
      spec: { rules: [{ backendRefs: [{ name: 'reviews', port: 9080 }] }] },
    })
    await controlPlane.kubectl(['delete', 'virtualservice', 'reviews'])
    const path = '/apis/gateway.networking.k8s.io/v1/namespaces/default/httproutes/reviews'
    const isGone = async () => (await controlPlane.request('GET', path)).status === 404
    await t.resolves(until('the HTTPRoute to be collected', isGone))
  })

  t.test('empties and removes a deleted namespace', async t => {
    await controlPlane.kubectl(['create', 'namespace', 'team-a'])
    await controlPlane.apply({ ...virtualService, metadata: { name: 'reviews', namespace: 'team-a' } })
    const { code } = await controlPlane.kubectl(['delete', 'namespace', 'team-a', '--timeout=60s'])
    t.equal(code, 0, 'kubectl waits for the end')
  })
})

t.test('ends with the process that started it', async t => {
  if (!(await availableOrSkip(t))) return
  const script = `
    import { startControlPlane } from './test/control-plane/index.ts'
    const { pids, directory } = await startControlPlane({ channel: 'none' })
    console.log(JSON.stringify({ pids, directory }))
  `
  for (const [end, code] of [
    ['that forgets to stop it', script],
    ['that is killed', `${script}; setInterval(() => {}, 1000)`],
  ] as const) {
    t.test(end, async t => {
      const child = spawn(process.execPath, ['--import=tsx', '--input-type=module', '--eval', code], {
        cwd: root,
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      const exited = once(child, 'exit')
      const [line] = await Promise.race([once(createInterface(child.stdout), 'line'), exited])
      const { pids, directory } = JSON.parse(line)
      if (end === 'that is killed') child.kill('SIGKILL')
      await exited
      for (const pid of pids) {
        await t.resolves(until(`process ${pid} to be gone`, async () => !(await isRunning(pid))))
      }
      t.notOk(existsSync(directory))
    })
  }
})

const virtualService = {
  apiVersion: 'networking.istio.io/v1',
  kind: 'VirtualService',
  metadata: { name: 'reviews', namespace: 'default' },
  spec: { hosts: ['reviews'], http: [{ route: [{ destination: { host: 'reviews' } }] }] },
}

const configMap = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'by-alice', namespace: 'default' } }

/** Whether a process runs. One that has ended may stay as a zombie until its parent asks, and not every init does. */
async function isRunning(pid: number): Promise<boolean> {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '') // Elsewhere than on Linux: no such file.
  return !/^\d+ \(.*\) Z/.test(stat)
}

function elapsed(start: number): string {
  return `${((performance.now() - start) / 1000).toFixed(1)} s`
}
