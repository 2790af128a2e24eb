// `npm run bench:audit`: what an audit of a whole cluster costs, from the objects, as a cluster hands them over, to the report in
// JSON. Each size runs in a process of its own, so that its memory is its own. Only the ratios mean something elsewhere.

import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { KubernetesObject } from '../src/apis/core.ts'
import { audit } from '../src/audit/index.ts'
import { profiles } from '../src/translate/profiles.ts'
import { istioGateway } from '../test/e2e/kubeflow.ts'

const counts = [5000, 10_000, 20_000]

/** Numbers below one from a seed (mulberry32), so that every run has the same cluster. */
function random(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

/** Kubeflow with as many profiles as make the count: owner and contributor policies, notebooks, and pods with sidecars. */
function* population(count: number): Generator<KubernetesObject> {
  const next = random(20_000)
  let made = 0
  for (const object of shared) {
    made++
    yield object as KubernetesObject
  }
  for (let i = 0; made < count; i++) {
    for (const object of profile(i, next)) {
      if (made++ >= count) return
      yield object
    }
  }
}

const gatewayPrincipal = 'cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account'

const shared = [
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'istio-system' } },
  { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kubeflow', labels: { 'istio-injection': 'enabled' } } },
  istioGateway,
  {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'global-deny-all', namespace: 'istio-system' },
    spec: {},
  },
  virtualService('kubeflow', 'centraldashboard', '/'),
]

function* profile(i: number, next: () => number): Generator<KubernetesObject> {
  const namespace = `team-${i}`
  const labels = { 'app.kubernetes.io/part-of': 'kubeflow-profile', 'istio-injection': 'enabled' }
  yield { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace, labels } }
  yield policy(namespace, 'ns-owner-access-istio', [
    {
      from: [{ source: { principals: [gatewayPrincipal] } }],
      when: [{ key: 'request.headers[kubeflow-userid]', values: [`${namespace}@example.com`] }],
    },
    { when: [{ key: 'source.namespace', values: [namespace] }] },
    { to: [{ operation: { paths: ['/healthz', '/metrics'] } }] },
  ])
  for (let k = Math.floor(3 * next()); k > 0; k--)
    yield policy(namespace, `user-${k}-clusterrole-edit`, [
      {
        from: [{ source: { principals: [gatewayPrincipal] } }],
        when: [{ key: 'request.headers[kubeflow-userid]', values: [`${k}@example.com`] }],
      },
    ])
  for (let k = 1 + Math.floor(5 * next()); k > 0; k--) {
    const name = `lab-${k}`
    const metadata = { name, namespace, labels: { app: name } }
    yield virtualService(namespace, name, `/notebook/${namespace}/${name}/`)
    yield {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8888 }] },
    } as KubernetesObject
    yield {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata,
      spec: {
        template: {
          metadata: { labels: { app: name } },
          spec: { containers: [{ name, ports: [{ containerPort: 8888 }] }] },
        },
      },
    } as KubernetesObject
    yield {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...metadata, annotations: { 'sidecar.istio.io/status': '{}' } },
      spec: {
        serviceAccountName: 'default-editor',
        containers: [{ name, ports: [{ containerPort: 8888 }] }, { name: 'istio-proxy' }],
      },
    } as KubernetesObject
  }
}

function policy(namespace: string, name: string, rules: object[]): KubernetesObject {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace },
    spec: { rules },
  } as KubernetesObject
}

function virtualService(namespace: string, name: string, prefix: string): KubernetesObject {
  const route = [{ destination: { host: `${name}.${namespace}.svc.cluster.local`, port: { number: 80 } } }]
  const spec = {
    hosts: ['*'],
    gateways: ['kubeflow/kubeflow-gateway'],
    http: [{ match: [{ uri: { prefix } }], rewrite: { uri: prefix }, route }],
  }
  const metadata = { name, namespace, creationTimestamp: '2026-01-01T00:00:00Z' }
  return { apiVersion: 'networking.istio.io/v1', kind: 'VirtualService', metadata, spec } as KubernetesObject
}

interface Measured {
  judging: number
  printing: number
  mebibytes: number
  companions: number
}

function measure(count: number): Measured {
  const inputs = [...population(count)].map(object => ({ object }))
  const started = cpuSeconds()
  const report = audit(inputs, {
    settings: profiles.kubeflow,
    profile: 'kubeflow',
    version: '',
    source: '',
    isLive: false,
  })
  const judged = cpuSeconds()
  JSON.stringify(report)
  const printed = cpuSeconds()
  if (report.objects !== count) throw new Error(`${report.objects} objects, where ${count} were wanted`)
  const { companions } = report.counts
  const mebibytes = process.resourceUsage().maxRSS / 1024
  return { judging: judged - started, printing: printed - judged, mebibytes, companions }
}

/** Of this process, so that who shares the machine does not count. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1_000_000
}

function inProcess(count: number): Measured {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    ['--import=tsx', fileURLToPath(import.meta.url), String(count)],
    { encoding: 'utf8' },
  )
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout)
}

const [own] = process.argv.slice(2).map(Number)
if (own) process.stdout.write(JSON.stringify(measure(own)))
else {
  const measured = counts.map(count => ({ count, ...inProcess(count) }))
  const [first] = measured
  console.log(
    '| objects | judged in | objects a second | time for each, to 5,000 | JSON in | peak memory | companions |',
  )
  console.log('| ---: | ---: | ---: | ---: | ---: | ---: | ---: |')
  for (const { count, judging, printing, mebibytes, companions } of measured) {
    const ratio = judging / count / ((first?.judging ?? 1) / (first?.count ?? 1))
    const cells = [
      count,
      `${judging.toFixed(1)} s`,
      (count / judging).toFixed(0),
      ratio.toFixed(2),
      `${printing.toFixed(1)} s`,
      `${mebibytes.toFixed(0)} MiB`,
      companions,
    ]
    console.log(`| ${cells.join(' | ')} |`)
  }
}
