// Reports as large and as strange as a test wants them, the same for the same wishes.

import type {
  AuditFinding,
  AuditReport,
  Change,
  Counts,
  HostReport,
  NamespaceReport,
  Step,
  Verdict,
} from '../../src/audit/report.ts'
import { catalogue, type DiagnosticCode } from '../../src/translate/diagnostics.ts'

export interface Wishes {
  namespaces?: number
  findings?: number
}

/** Made up, but of true codes and true kinds. */
export function madeUpReport({ namespaces = 12, findings = 40 }: Wishes = {}): AuditReport {
  const names = Array.from({ length: namespaces }, (_, index) => nameOf(index))
  const reports = names.map((name, index) =>
    namespaceOf(name, index, findingsOf(name, index, { namespaces, findings })),
  )
  return reportOf(reports, names.slice(0, 3 + namespaces / 4).map(hostOf))
}

/** The sums and the verdict follow from the namespaces. */
export function reportOf(namespaces: NamespaceReport[], hosts: HostReport[] = []): AuditReport {
  const sum = (of: (namespace: NamespaceReport) => number) => namespaces.reduce((total, each) => total + of(each), 0)
  const counts: Counts = {
    denial: sum(each => each.counts.denial),
    warning: sum(each => each.counts.warning),
    note: sum(each => each.counts.note),
    rewritten: sum(each => each.counts.rewritten),
    companions: sum(each => each.counts.companions),
  }
  return {
    version: '0.1.0',
    source: 'made-up/manifests',
    profile: 'kubeflow',
    verdict: verdictOf(counts),
    objects: sum(each => each.objects),
    counts,
    namespaces,
    hosts,
  }
}

function nameOf(index: number): string {
  const teams = ['', 'istio-system', 'kubeflow', 'ingress', 'monitoring', 'shop', 'payments']
  return teams[index] ?? `team-${index - teams.length + 1}`
}

function verdictOf({ denial, warning }: Counts): Verdict {
  return denial > 0 ? 'blocked' : warning > 0 ? 'warnings' : 'ready'
}

function namespaceOf(name: string, index: number, findings: AuditFinding[]): NamespaceReport {
  const changes = name === '' ? [] : changesOf(name)
  const count = (severity: string) => findings.filter(finding => finding.severity === severity).length
  const counts: Counts = {
    denial: count('denial'),
    warning: count('warning'),
    note: count('note'),
    rewritten: changes.filter(({ role }) => role === 'rewritten').length,
    companions: changes.filter(({ role }) => role === 'companion').length,
  }
  const isMeshed = name !== '' && index % 5 !== 4
  return {
    name,
    verdict: verdictOf(counts),
    dataplane: dataplaneOf(isMeshed ? index : undefined),
    ...(isMeshed && { waypoint: `${name}/waypoint` }),
    objects: 5 + ((index * 7) % 23),
    counts,
    findings,
    changes,
    steps: isMeshed ? stepsOf(name, index % 4) : [],
  }
}

function dataplaneOf(index: number | undefined): NamespaceReport['dataplane'] {
  const now = index === undefined ? 'none' : index % 7 === 6 ? 'mixed' : index % 11 === 10 ? 'ambient' : 'sidecar'
  // biome-ignore lint/suspicious/noThenProperty: the report says now and then, and a text is no function that await calls.
  return { now, then: index === undefined ? 'none' : 'ambient' }
}

function stepsOf(name: string, done: number): Step[] {
  const steps: [string, string, string[]][] = [
    [
      'Keep a waypoint',
      'Policies that read HTTP need somebody to enforce them before sidecars go.',
      [`Gateway/${name}/waypoint`],
    ],
    [
      'Guard the policies at ztunnel',
      'From the moment of capture ztunnel is all there is on the direct way; the guards must stand before it.',
      [`AuthorizationPolicy/${name}/allow-team-guard`],
    ],
    ['Capture the pods', 'Waits for the guards. Pods that start anew have no sidecar.', [`Namespace//${name}`]],
    [
      'Move the policies to the waypoint',
      'Waits until no pod has a sidecar.',
      [`AuthorizationPolicy/${name}/allow-team`],
    ],
    ['Enrol the Services', 'Waits until the waypoint has the policies.', [`Namespace//${name}`]],
    [
      'Switch the routes',
      'Last: the HTTPRoute is accepted, then the VirtualService is parked.',
      [`HTTPRoute/${name}/lab`, `VirtualService/${name}/lab`],
    ],
  ]
  const names = ['waypoint', 'refusal', 'capture', 'policies', 'enrolment', 'routes'] as const
  return steps.map(([title, reason, objects], index) => ({
    ...{ name: names[index] ?? 'parking', title, reason, objects },
    isDone: index < done,
  }))
}

const codes = Object.entries(catalogue) as [DiagnosticCode, { severity: AuditFinding['severity']; message: string }][]

/** A few codes make most findings, as in life: code k comes about half as often as code k - 1. */
function findingsOf(name: string, index: number, { namespaces, findings }: Required<Wishes>): AuditFinding[] {
  const count = index % 3 === 2 ? 0 : Math.round((findings / namespaces) * 1.5)
  return Array.from({ length: count }, (_, at) => {
    const rank = Math.clz32(((index * 31 + at * 17 + 1) * 2654435761) >>> 0)
    const [code, { severity, message }] = codes[(rank * 29 + (index % 4) * 13) % codes.length] ?? never()
    const kind = code.startsWith('VS') ? 'VirtualService' : code.startsWith('GW') ? 'Gateway' : 'AuthorizationPolicy'
    return {
      code,
      severity,
      apiVersion: kind === 'AuthorizationPolicy' ? 'security.istio.io/v1' : 'networking.istio.io/v1',
      kind,
      namespace: name,
      name: `${['lab', 'api', 'web', 'models'][at % 4]}-${at}`,
      field: `spec.${kind === 'AuthorizationPolicy' ? 'rules' : 'http'}[${at % 6}]`,
      message: message.replace(/\{(\w+)\}/g, (_, word) => `${word}-${at % 9}`),
      file: `manifests/${name || 'cluster'}/${kind.toLowerCase()}.yaml`,
      line: 1 + at * 14,
    }
  }).sort(
    (a, b) => ['denial', 'warning', 'note'].indexOf(a.severity) - ['denial', 'warning', 'note'].indexOf(b.severity),
  )
}

function never(): never {
  throw new Error('there are codes')
}

function changesOf(namespace: string): Change[] {
  const meta = (name: string) => `  name: ${name}\n  namespace: ${namespace}\n`
  const policy = 'apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata:\n'
  const rule = `spec:
  action: ALLOW
  rules:
    - from:
        - source:
            principals:
              - cluster.local/ns/istio-system/sa/istio-ingressgateway-service-account
`
  const when = `      when:
        - key: request.headers[kubeflow-userid]
          values:
            - ada@example.com
`
  const facts = { apiVersion: 'security.istio.io/v1', kind: 'AuthorizationPolicy', namespace }
  return [
    {
      ...facts,
      role: 'rewritten',
      name: 'allow-team',
      before: `${policy}${meta('allow-team')}${rule}${when}`,
      after: `${policy}${meta('allow-team')}${rule}              - cluster.local/ns/istio-system/sa/ambient-ingressgateway-istio\n${when}  targetRefs:\n    - group: gateway.networking.k8s.io\n      kind: Gateway\n      name: waypoint\n`,
    },
    {
      ...facts,
      role: 'companion',
      name: 'allow-team-guard',
      after: `${policy}  labels:\n    app.kubernetes.io/managed-by: sidestep\n${meta('allow-team-guard')}spec:\n  action: ALLOW\n  rules:\n    - from:\n        - source:\n            principals:\n              - cluster.local/ns/${namespace}/sa/waypoint\n`,
    },
  ]
}

function hostOf(name: string, index: number): HostReport {
  const namespace = name || 'cluster'
  const before = [
    { object: `VirtualService/${namespace}/web`, match: 'POST /api/ (prefix)', to: `api.${namespace}:8080` },
    { object: `VirtualService/${namespace}/web`, match: '/notebook/ada/lab/ (prefix)', to: `lab.${namespace}:80` },
    { object: `VirtualService/${namespace}/web`, match: '/old (exact)', to: 'redirect to /new' },
    { object: `VirtualService/${namespace}/web`, match: '/ (prefix)', to: `web.${namespace}:80` },
  ]
  if (index % 3 === 2) return { host: `${namespace}.example.com`, before, after: before }
  const after = [
    before[1],
    before[0],
    before[3],
    { object: '', match: '/notebook/ada/lab (exact)', to: `lab.${namespace}:80` },
  ]
  return {
    host: `${namespace}.example.com`,
    before,
    after: after.map(rule => ({
      ...(rule ?? never()),
      object: `HTTPRoute/${namespace}/web`,
      ...(index % 3 === 1 && rule === before[3] && { to: `canary.${namespace}:80` }),
    })),
  }
}
