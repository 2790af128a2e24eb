// SARIF and JUnit: what other tools read, held against what they demand.
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import t from 'tap'
import { toJunit } from '../../src/audit/junit.ts'
import { toSarif } from '../../src/audit/sarif.ts'
import { pageOf } from '../../src/cli/pages.ts'
import { auditOf, denied, entry, istioGateway, namespace, virtualService } from './world.ts'

const schema = JSON.parse(readFileSync(new URL('sarif-2.1.0.schema.json', import.meta.url), 'utf8'))
const validate = new Ajv({ strict: false, validateFormats: false, unicodeRegExp: false }).compile(schema)

const warned = virtualService('lab', [entry('/lab/')])
const report = auditOf([istioGateway, namespace(), denied, warned], {
  unread: [{ resource: 'sidecars.networking.istio.io', reason: 'you may not list it' }],
})

interface Sarif {
  runs: {
    tool: { driver: { rules: { id: string; help: { text: string; markdown?: string } }[] } }
    invocations: { toolExecutionNotifications: { message: { text: string } }[] }[]
    results: { ruleId: string; ruleIndex: number; level: string; locations: object[] }[]
  }[]
}

t.test('SARIF is valid against its schema, with each rule once and its page', async t => {
  const sarif = toSarif(report, pageOf) as Sarif
  t.ok(validate(sarif), JSON.stringify(validate.errors))
  t.ok(validate(toSarif(auditOf([]), pageOf)), 'with nothing to say too')
  t.notOk(validate({ ...sarif, version: '2.0.0' }), 'the schema notices')
  const [run] = sarif.runs
  const rules = run?.tool.driver.rules ?? []
  for (const { ruleId, ruleIndex } of run?.results ?? []) t.equal(rules[ruleIndex]?.id, ruleId)
  t.strictSame(
    rules.map(({ id }) => id),
    ['NS-INJECTION-REMOVED', 'VS-FAULT', 'VS-MATCH-PREFIX-SLASH'],
  )
  t.strictSame(rules[1]?.help, { text: 'sidestep explain VS-FAULT', markdown: pageOf('VS-FAULT') })
  t.match(rules[1]?.help.markdown, /^# VS-FAULT\n/)
  t.ok(validate(toSarif(report, () => undefined)), 'without documentation too')
  t.strictSame(
    run?.results.map(({ level }) => level),
    ['error', 'warning', 'note'],
  )
  t.match(run?.invocations[0]?.toolExecutionNotifications, [{ message: { text: /sidecars\.networking/ } }])
})

t.test('SARIF points at file and line where there are some, in URIs', async t => {
  const [first] = report.namespaces.flatMap(({ findings }) => findings)
  const withFile = (file: string) => {
    const finding = { ...(first as NonNullable<typeof first>), file, line: 7 }
    const [namespace] = report.namespaces
    const namespaces = [{ ...(namespace as NonNullable<typeof namespace>), findings: [finding] }]
    const sarif = toSarif({ ...report, namespaces }, pageOf)
    t.ok(validate(sarif), JSON.stringify(validate.errors))
    return (sarif as Sarif).runs[0]?.results[0]?.locations[0]
  }
  const place = (uri: string) => ({ physicalLocation: { artifactLocation: { uri }, region: { startLine: 7 } } })
  t.match(withFile('apps/my lab.yaml'), place('apps/my%20lab.yaml'))
  t.match(withFile('/srv/lab.yaml'), place('file:///srv/lab.yaml'))
  t.notMatch((toSarif(report, pageOf) as Sarif).runs[0]?.results[0]?.locations[0], { physicalLocation: {} })
})

t.test('JUnit has a suite for each namespace and a case for each object, which fails as --fail-on says', async t => {
  t.strictSame(
    countsIn(toJunit(report, 'denial')),
    [
      ['sidestep audit', 7, 1],
      ['team-a', 5, 1],
      ['kubeflow', 1, 0],
      ['not read', 1, 0],
    ].toSorted(byName),
  )
  t.match(totalOf(toJunit(report, 'warning')), { failures: 2 })
  t.match(totalOf(toJunit(report, 'never')), { failures: 0 })
  const xml = toJunit(report, 'denial')
  t.match(xml, /<testcase classname="team-a" name="VirtualService\/team-a\/faulty">\n {6}<failure type="VS-FAULT"/)
  t.match(xml, /<system-out>warning VS-MATCH-PREFIX-SLASH/)
})

t.test('JUnit stays XML whatever is in a name', async t => {
  const nasty = {
    ...namespace({}, 'team-a'),
    metadata: { name: 'a<b>&"\u0007\ud800', labels: { 'istio.io/dataplane-mode': ']]>' } },
  }
  const xml = toJunit(auditOf([nasty]), 'denial')
  t.match(xml, 'a&lt;b&gt;&amp;&quot;\ufffd\ufffd')
  t.notMatch(xml, ']]>')
})

function countsIn(xml: string): [string, number, number][] {
  return [...xml.matchAll(/<testsuites? name="([^"]*)" tests="(\d+)" failures="(\d+)"/g)]
    .map(([, name = '', tests, failures]): [string, number, number] => [name, Number(tests), Number(failures)])
    .toSorted(byName)
}

function totalOf(xml: string): { failures: number } {
  const [, failures] = /<testsuites name="sidestep audit" tests="\d+" failures="(\d+)"/.exec(xml) ?? []
  return { failures: Number(failures) }
}

function byName(
  [a]: [string, ...unknown[]] | (string | number)[],
  [b]: [string, ...unknown[]] | (string | number)[],
): number {
  return String(a) < String(b) ? -1 : 1
}
