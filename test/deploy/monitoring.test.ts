// What alerts and dashboard ask for is there: of sidestep's metrics those of both registries, with their labels. What they
// ask of the API server is shown in cluster.test.ts.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parse } from 'yaml'
import { createReconcilerMetrics } from '../../src/reconciler/metrics.ts'
import { createMetrics } from '../../src/server/metrics.ts'
import { chart } from './manifests.ts'

interface Rule {
  alert: string
  expr: string
  for: string
  labels: { severity: string }
  annotations: { summary: string; runbook: string }
}

interface Panel {
  type: string
  title: string
  targets?: { expr: string; legendFormat: string }[]
}

const rules: Rule[] = parse(readFileSync(join(chart, 'alerts.yaml'), 'utf8')).groups[0].rules
const dashboard: { panels: Panel[] } = JSON.parse(readFileSync(join(chart, 'dashboard.json'), 'utf8'))
const targets = dashboard.panels.flatMap(({ title, targets = [] }) => targets.map(each => ({ title, ...each })))

/** Labels by the name of each series that is exposed. */
function exposed(t: { teardown(end: () => void): void }): Map<string, readonly string[]> {
  const { registry, watchBundle, close } = createMetrics()
  t.teardown(close)
  watchBundle(() => true)
  const none = new Map<string, number>()
  createReconcilerMetrics(registry, {
    queue: { depth: 0, oldestAgeSeconds: 0 },
    looping: () => 0,
    drift: () => ({ sources: 0, companions: 0 }),
    denied: () => none,
    pending: () => none,
    foreign: () => none,
  })
  const metrics = registry.getMetricsAsArray() as unknown as { name: string; type: string; labelNames: string[] }[]
  const series = new Map<string, readonly string[]>()
  for (const { name, type, labelNames } of metrics) {
    if (type !== 'histogram') series.set(name, labelNames)
    else for (const suffix of ['_bucket', '_sum', '_count']) series.set(name + suffix, [...labelNames, 'le'])
  }
  return series
}

t.test('every metric and label that is asked for exists', async t => {
  const series = exposed(t)
  t.ok(series.size > 15)
  const queries = [...rules.map(({ alert, expr }) => [alert, expr]), ...targets.map(({ title, expr }) => [title, expr])]
  const asked = new Set<string>()
  for (const [title, expr = ''] of queries) {
    const names = expr.match(/\bsidestep_\w+|\bapiserver_\w+/g) ?? []
    t.equal(names.length, 1, `${title} asks for one metric`)
    const [name = ''] = names
    if (name.startsWith('apiserver_')) continue
    asked.add(name.replace(/_(bucket|sum|count)$/, ''))
    const labels = series.get(name)
    if (!t.ok(labels, `${title}: ${name}`)) continue
    // Of Prometheus' own making: where it was scraped.
    const known = [...(labels ?? []), 'namespace', 'pod']
    const matched = [...expr.matchAll(/(\w+)\s*=~?/g)].map(([, label]) => label ?? '')
    const grouped = [...expr.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = '']) => list.split(/,\s*/))
    for (const label of [...matched, ...grouped]) t.ok(known.includes(label), `${title}: ${name}{${label}}`)
  }
  const all = new Set([...series.keys()].map(name => name.replace(/_(bucket|sum|count)$/, '')))
  t.strictSame(
    [...all].filter(name => !asked.has(name)),
    [],
    'and every metric is asked for',
  )
})

t.test('a name in a legend or a sentence is what the query leaves', async t => {
  const texts = [
    ...rules.map(({ alert, expr, annotations }) => ({ title: alert, expr, text: JSON.stringify(annotations) })),
    ...targets.map(({ title, expr, legendFormat }) => ({ title, expr, text: legendFormat })),
  ]
  for (const { title, expr, text } of texts) {
    const used = [...text.matchAll(/\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}/g)].map(([, label]) => label ?? '')
    const left = expr.match(/by \(([^)]*)\)/)?.[1]?.split(/,\s*/) ?? ['pod']
    for (const label of used.filter(label => label !== 'value')) t.ok(left.includes(label), `${title}: ${label}`)
  }
})

t.test('docs/operations.md has every metric with its labels and every alert, and no other', async t => {
  const page = readFileSync(join(chart, '../../docs/operations.md'), 'utf8')
  const rows = new Map([...page.matchAll(/^\| `(sidestep_\w+)` \| (.*) \|$/gm)].map(([, name, row]) => [name, row]))
  const metrics = new Map([...exposed(t)].map(([name, labels]) => [name.replace(/_(bucket|sum|count)$/, ''), labels]))
  t.strictSame([...rows.keys()].sort(), [...metrics.keys()].sort())
  for (const [name, labels] of metrics)
    for (const label of labels.filter(label => label !== 'le' && label !== 'of'))
      t.ok(rows.get(name)?.includes(`\`${label}\``), `${name}: ${label}`)
  const section = page.split(/^## /m).find(text => text.startsWith('Alerts\n')) ?? ''
  const alerts = [...section.matchAll(/^### (\w+)$/gm)].map(([, alert]) => alert)
  t.strictSame(
    alerts,
    rules.map(({ alert }) => alert),
  )
})

t.test('every alert says what to do', async t => {
  t.strictSame(new Set(rules.map(({ alert }) => alert)).size, rules.length)
  for (const { alert, labels, annotations, ...rule } of rules) {
    t.match(labels.severity, /^(critical|warning|info)$/, alert)
    t.match(rule.for, /^\d+[mh]$/, alert)
    t.ok(annotations.summary.length > 20 && annotations.runbook.length > 80, alert)
  }
})
