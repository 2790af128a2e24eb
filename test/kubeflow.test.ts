// A whole Kubeflow installation through sidestep: what every object becomes. The tables in docs/kubeflow.md are written by
// this test (`npm run fixtures`), and it fails when they are not what sidestep does.
import { readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import type { KubernetesObject } from '../src/apis/core.ts'
import type * as istio from '../src/apis/istio.ts'
import { isTranslated, translate } from '../src/translate/index.ts'
import { profiles } from '../src/translate/profiles.ts'
import { snapshotOf } from '../src/translate/snapshot.ts'
import type { Translation } from '../src/translate/translation.ts'
import { corpusDirectory, corpusSkipped, installation, readCorpus } from './support/corpus.ts'

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

  t.test('docs/kubeflow.md says what comes out', async t => {
    const text = readFileSync(page, 'utf8')
    const written = withTables(text, rows)
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
