// A whole Kubeflow installation through sidestep: what every object becomes. The tables in docs/kubeflow.md are written by
// this test (`npm run fixtures`), and it fails when they are not what sidestep does.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { KubernetesObject } from '../src/apis/core.ts'
import type * as istio from '../src/apis/istio.ts'
import { audit } from '../src/audit/index.ts'
import type { AuditFinding, AuditReport } from '../src/audit/report.ts'
import { read } from '../src/cli/read.ts'
import { isExamined, isTranslated, translate } from '../src/translate/index.ts'
import { profiles } from '../src/translate/profiles.ts'
import { snapshotOf } from '../src/translate/snapshot.ts'
import type { Translation } from '../src/translate/translation.ts'
import { alternatives, corpusDirectory, corpusSkipped, installation, readCorpus } from './support/corpus.ts'

const page = join(dirname(fileURLToPath(import.meta.url)), '../docs/kubeflow.md')
const directory = corpusDirectory()

interface Row {
  file: string
  object: KubernetesObject
  translation: Translation
}

function rowsOf(directory: string): Row[] {
  const objects = installation(directory)
  const cluster = snapshotOf(objects.map(({ object }) => object))
  return objects
    .filter(({ object }) => isTranslated(object))
    .map(({ file, object }) => ({ file, object, translation: translate(object, cluster, profiles.kubeflow) }))
}

t.test('a Kubeflow installation', { skip: directory ? false : corpusSkipped }, async t => {
  if (!directory) return
  const rows = rowsOf(directory)

  t.test('no object of any file makes sidestep throw, alone or together', async t => {
    const corpus = readCorpus(directory)
    for (const file of new Set(corpus.map(({ file }) => file))) {
      const own = corpus.filter(other => other.file === file).map(({ object }) => object)
      for (const object of own) translate(object, snapshotOf(own), profiles.kubeflow)
    }
    t.ok(rows.length > 100, `${rows.length} objects of the kinds that sidestep rewrites`)
  })

  t.test('every VirtualService is translated whole, or left as it is with a code that says why', async t => {
    const virtualServices = rows.filter(({ object }) => object.kind === 'VirtualService')
    for (const { object, translation } of virtualServices) {
      const { companions, warnings, denial } = translation
      t.notOk(denial, `${object.metadata.name} is not refused`)
      if (companions.length > 0) continue
      t.strictSame(translation.object, object, `${object.metadata.name} is left as it is`)
      t.ok(
        warnings.some(({ severity }) => severity === 'warning'),
        `${object.metadata.name} says why`,
      )
    }
    const untranslated = virtualServices.filter(({ translation }) => translation.companions.length === 0)
    t.strictSame(
      untranslated.map(({ object }) => object.metadata.name),
      ['sklearn-iris'],
      'only KServe Serverless is not',
    )
  })

  t.test('no policy and no namespace is refused', async t => {
    for (const { object, translation } of rows) t.notOk(translation.denial, `${object.kind} ${object.metadata.name}`)
  })

  t.test('no policy with HTTP attributes is left to ztunnel in an ambient namespace', async t => {
    const left = rows
      .filter(
        ({ object }) =>
          object.kind === 'AuthorizationPolicy' && ['kubeflow', 'team-a'].includes(object.metadata.namespace ?? ''),
      )
      .map(({ translation }) => translation.object as istio.AuthorizationPolicy)
      .filter(
        ({ spec }) => !spec.targetRefs && /"(methods|paths|hosts)"|request\./.test(JSON.stringify(spec.rules ?? [])),
      )
    t.strictSame(
      left.map(({ metadata }) => metadata.name),
      [],
    )
  })

  t.test('what was made for sidecars is told of, at its object and field, and never refused', async t => {
    const objects = installation(directory)
    const cluster = snapshotOf(objects.map(({ object }) => object))
    const found = objects
      .filter(({ object }) => isExamined(object))
      .flatMap(({ object }) => {
        const { warnings, denial } = translate(object, cluster, profiles.kubeflow)
        t.notOk(denial, `${object.kind} ${nameOf(object)}`)
        return warnings.map(({ code, field }) => ({ code, at: `${nameOf(object)} ${field}` }))
      })
    const at = (wanted: string) => found.filter(({ code }) => code === wanted).map(({ at }) => at)
    t.equal(at('POD-INJECT-REFUSED').length + at('POD-INJECT-FALSE').length, 13, 'pods that had no sidecar')
    t.equal(at('POD-INJECT-TRUE').length, 5, 'pods that ask for one')
    t.strictSame(at('POD-INBOUND-REFUSED'), [
      'kubeflow/pvcviewer-controller-manager spec.template.metadata.annotations[traffic.sidecar.istio.io/excludeInboundPorts]',
    ])
    t.strictSame(at('NP-INGRESS-HBONE'), [
      'kubeflow/model-catalog spec.ingress[0].ports',
      'kubeflow/model-registry spec.ingress[0].ports',
      'kubeflow/tensorboards-web-app spec.ingress[0].ports',
      'kubeflow/seaweedfs spec.ingress[0].ports',
    ])
    t.strictSame(at('NP-GATEWAY-PEER'), [
      'auth/allow-istio-and-oauth2-proxy spec.ingress[0].from[0].podSelector',
      'knative-serving/allow-istio-gateways-to-activator spec.ingress[0].from[0].podSelector',
      'oauth2-proxy/allow-istio-ingressgateway spec.ingress[0].from[0].podSelector',
    ])
    t.strictSame(
      [...at('NP-GATEWAY-CALLERS'), ...at('NP-WAYPOINT-CALLERS')],
      [
        'istio-system/default-allow-same-namespace-istio-system spec.podSelector',
        'kubeflow/default-allow-same-namespace spec.podSelector',
      ],
    )
    t.strictSame(
      [...at('KS-CONFIG-SERVERLESS'), ...at('KS-CONFIG-INGRESS')],
      ['kubeflow/inferenceservice-config data.deploy', 'kubeflow/inferenceservice-config data.ingress'],
    )
    const policies = objects.filter(({ object }) => object.kind === 'NetworkPolicy')
    t.equal(policies.length, 38, 'of so many NetworkPolicies')
    t.equal(found.filter(({ code }) => code.startsWith('NP-')).length, 10, 'and no other is told of')
  })

  t.test('docs/kubeflow.md says what comes out', async t => {
    const text = readFileSync(page, 'utf8')
    const written = withAudit(withTables(text, rows), await auditOf(directory))
    if (process.env.SIDESTEP_WRITE) writeFileSync(page, written)
    else t.equal(text, written, 'run npm run fixtures and look at the difference')
  })
})

/** The page with its tables written anew, one per kind, between marks. */
function withTables(text: string, rows: Row[]): string {
  return [
    'VirtualService',
    'AuthorizationPolicy',
    'RequestAuthentication',
    'PeerAuthentication',
    'Namespace',
    'Service',
  ].reduce((page, kind) => {
    const table = tableOf(rows.filter(row => row.object.kind === kind))
    return page.replace(
      new RegExp(`(<!-- table ${kind} -->\n)[^]*?(<!-- end -->)`),
      (_, start, end) => `${start}${table}\n${end}`,
    )
  }, text)
}

function tableOf(rows: Row[]): string {
  const changed = rows.filter(({ object, translation }) => object.kind !== 'Service' || translation.object !== object)
  return [
    '| object | becomes | beside it | said about it |',
    '| --- | --- | --- | --- |',
    ...changed.map(
      ({ object, translation }) =>
        `| ${[nameOf(object), becomes(object, translation), besides(translation), codes(translation)].join(' | ')} |`,
    ),
  ].join('\n')
}

function nameOf({ metadata: { namespace, name } }: KubernetesObject): string {
  return namespace ? `${namespace}/${name}` : `${name}`
}

function becomes(before: KubernetesObject, { object }: Translation): string {
  if (object === before) return 'as it is'
  const labels = Object.entries(object.metadata.labels ?? {}).filter(
    ([key, value]) => before.metadata.labels?.[key] !== value,
  )
  const { spec } = object as istio.AuthorizationPolicy
  const { spec: old } = before as istio.AuthorizationPolicy
  const changes = [
    ...labels.map(([key, value]) => `\`${key}: ${value}\``),
    ...(spec?.targetRefs && !old?.targetRefs ? spec.targetRefs.map(({ kind, name }) => `on ${kind} \`${name}\``) : []),
    ...(JSON.stringify(spec?.rules) === JSON.stringify(old?.rules) ? [] : ['new gateway named beside the old']),
  ]
  return changes.join(', ')
}

function besides({ companions }: Translation): string {
  return companions.map(({ kind, metadata }) => `${kind} \`${metadata.name}\``).join(', ') || '–'
}

function codes({ warnings }: Translation): string {
  const kept = warnings.filter(({ code }) => !code.endsWith('-COMPANION-KEPT'))
  return [...new Set(kept.map(({ code }) => `[${code}](diagnostics/${code}.md)`))].join(', ') || '–'
}

// The audit --------------------------------------------------------------------------------------------------------

/** Of the whole installation, read as `sidestep audit` reads it, so that findings have their lines. */
async function auditOf(directory: string): Promise<AuditReport> {
  const nothing = (async function* () {})()
  const files = [...new Set(installation(directory).map(({ file }) => file))]
  const { inputs, problems } = await read(
    files.filter(file => !alternatives.includes(file)).map(file => join(directory, file)),
    nothing,
  )
  if (problems.length > 0) throw new Error(problems.map(({ message }) => message).join('\n'))
  return audit(inputs, { settings: profiles.kubeflow, profile: 'kubeflow', version: '', source: '' })
}

/** The page with the tables of the audit: each namespace, and each code with the objects that it is about. */
function withAudit(text: string, { namespaces }: AuditReport): string {
  const summary = [
    '| namespace | verdict | objects | rewritten | kept beside | denials | warnings | notes |',
    '| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |',
    ...namespaces.map(({ name, verdict, objects, counts: { rewritten, companions, denial, warning, note } }) => {
      const cells = [name || '(none)', verdict, objects, rewritten, companions, denial, warning, note]
      return `| ${cells.join(' | ')} |`
    }),
  ]
  const findings = [
    '| code | severity | where |',
    '| --- | --- | --- |',
    ...byCode(namespaces.flatMap(each => each.findings)).map(
      ([{ code, severity }, ...others]) =>
        `| [${code}](diagnostics/${code}.md) | ${severity} | ${others.map(placeOf).join('<br>')} |`,
    ),
  ]
  return withTable(withTable(text, 'audit', summary), 'findings', findings)
}

function withTable(text: string, mark: string, lines: string[]): string {
  const pattern = new RegExp(`(<!-- table ${mark} -->\n)[^]*?(<!-- end -->)`)
  return text.replace(pattern, (_, start, end) => `${start}${lines.join('\n')}\n${end}`)
}

type Group = [first: AuditFinding, ...all: AuditFinding[]]

/** Denials first, then warnings; notes are told by the tables of each kind. The first of each is there twice. */
function byCode(findings: AuditFinding[]): Group[] {
  const groups = new Map<string, Group>()
  for (const finding of findings.filter(({ severity }) => severity !== 'note')) {
    const group = groups.get(finding.code)
    if (group) group.push(finding)
    else groups.set(finding.code, [finding, finding])
  }
  const keyOf = ([{ severity, code }]: Group) => `${severity} ${code}`
  return [...groups.values()].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1))
}

function placeOf({ kind, namespace, name, field, file = '', line }: AuditFinding): string {
  const place = `${file.slice(file.lastIndexOf('/') + 1)}:${line}`
  return `${kind} ${namespace ? `${namespace}/` : ''}${name} \`${field}\` (${place})`
}
