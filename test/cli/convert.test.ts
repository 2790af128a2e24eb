// `sidestep convert` as a pipe: what goes in, what comes out on both streams, and the exit code.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { companionNamed, convertText, scripted, sidestep } from './memory.ts'

const configMap = (name: string, annotations: Record<string, string> = {}, more = '') =>
  `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n  annotations: ${JSON.stringify(annotations)}\n${more}`
const names = (yaml: string) => parseAllDocuments(yaml).map(document => document.getIn(['metadata', 'name']))
const lastLine = (text: string) => text.trimEnd().split('\n').at(-1)

t.test('passes other kinds through as they are written, comments and all', async t => {
  const text = `# licence
apiVersion: v1 # the core
kind: ConfigMap
metadata: { name: a }   # flow
data:
  script: |
    #!/bin/sh
    echo "on"   # not a comment

  folded: >-
    one
    two
  bare: on
  octal: 012
  big: 9007199254740993
  base: &base {a: 1}
  copy: *base
---

# about b
apiVersion: v1
kind: Secret
metadata:
    name: b
`
  const { code, stdout, stderr } = await convertText(text)
  t.equal(stdout, text)
  t.equal(stderr, '2 objects, 0 rewritten, 0 companions, 0 warnings, 0 denials\n')
  t.equal(code, 0)
})

t.test('puts --- between files, and prints JSON and what depends on its surroundings as YAML', async t => {
  const dir = t.testdir({
    'a.yaml': configMap('a').trimEnd(),
    'b.json': '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}, "data": {"a": "on", "b": "012"}}',
    'c.yaml': `%YAML 1.2\n---\n${configMap('c')}...\n`,
    'd.yaml': `--- {apiVersion: v1, kind: ConfigMap, metadata: {name: d}}\n`,
    'e.yaml': `\ufeff# e\n---\n${configMap('e')}`,
  })
  const { stdout } = await sidestep(['convert', '-f', dir])
  t.strictSame(names(stdout), ['a', 'b', 'c', 'd', 'e'])
  t.match(
    stdout,
    `---
apiVersion: v1
kind: ConfigMap
metadata:
  name: b
data:
  a: "on"
  b: "012"
---
`,
  )
  t.match(stdout, '# e\n---\napiVersion')
})

t.test(
  'prints a rewritten object in the order of its input, under its first comments, without anchors or folds',
  async t => {
    const text = `# licence
kind: ConfigMap
metadata:
  labels: {zz: "true", aa: "012"}
  annotations: {rewrite: "on"}
  name: a
data: &data
  long: ${'word '.repeat(60)}end
apiVersion: v1
copy: *data
`
    const { stdout, stderr } = await convertText(text, { translate: scripted })
    const long = `${'word '.repeat(60)}end`
    t.equal(
      stdout,
      `# licence
apiVersion: v1
kind: ConfigMap
metadata:
  labels:
    zz: "true"
    aa: "012"
    rewritten: "on"
  annotations:
    rewrite: "on"
  name: a
data:
  long: ${long}
copy:
  long: ${long}
`,
    )
    t.equal(lastLine(stderr), '1 object, 1 rewritten, 0 companions, 0 warnings, 0 denials')
  },
)

t.test('prints each object followed by its companions, and a shared companion once', async t => {
  const text = [
    configMap('b', { companion: 'shared' }),
    configMap('a', { companion: 'shared' }),
    configMap('c', { companion: 'own', rewrite: 'x' }),
    configMap('d'),
  ].join('---\n')
  const { code, stdout, stderr } = await convertText(text, { translate: scripted })
  t.strictSame(names(stdout), ['b', 'shared', 'a', 'c', 'own', 'd'])
  t.equal(lastLine(stderr), '4 objects, 1 rewritten, 2 companions, 0 warnings, 0 denials')
  t.equal(code, 0)
  t.equal((await convertText(text, { translate: scripted })).stdout, stdout, 'again the same')
})

t.test('replaces a companion of an earlier run, and leaves an object of somebody else', async t => {
  const ours = JSON.stringify({ ...companionNamed('route'), spec: { stale: true } })
  const source = configMap('a', { companion: 'route' })
  const replaced = await convertText(`${ours}\n---\n${source}`, { translate: scripted })
  t.strictSame(names(replaced.stdout), ['a', 'route'])
  t.notMatch(replaced.stdout, 'stale')
  const theirs = JSON.stringify({ ...companionNamed('route'), metadata: { name: 'route' }, spec: { theirs: true } })
  const kept = await convertText(`${theirs}\n---\n${source}`, { translate: scripted })
  t.strictSame(names(kept.stdout), ['route', 'a'])
  t.match(kept.stdout, 'theirs: true')
})

t.test('prints nothing when two sources want different companions of one name', async t => {
  const { code, stdout, stderr } = await convertText(`${configMap('a')}---\n${configMap('b')}`, {
    translate: object => ({
      object,
      companions: [{ ...companionNamed('x'), kind: 'Guard', ...{ spec: object.metadata.name } }],
      warnings: [],
    }),
  })
  t.match(stderr, /^stdin:7:1: error: Guard x would differ for ConfigMap a and ConfigMap b/)
  t.equal(stdout, '')
  t.equal(code, 2)
})

t.test('gives translate() all documents and the snapshot, in which an input wins', async t => {
  const dir = t.testdir({
    'a.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {from: snapshot}}\n',
    'b.yaml': 'apiVersion: v1\nkind: Namespace\nmetadata: {name: b, labels: {from: snapshot}}\n',
  })
  const input = 'apiVersion: v1\nkind: Namespace\nmetadata: {name: a, labels: {from: input}}\n'
  const seen: unknown[] = []
  for (const flags of [[], ['--as-is']]) {
    const { stdout } = await sidestep(['convert', '-f', '-', '--snapshot', dir, ...flags], {
      stdin: input,
      translate: (object, { namespaces, statuses }) => {
        seen.push([statuses, ...[...namespaces.values()].map(({ metadata }) => metadata.labels?.from)])
        return { object, companions: [], warnings: [] }
      },
    })
    t.equal(stdout, input, 'the snapshot is not printed')
  }
  t.strictSame(seen, [
    ['assumed', 'input', 'snapshot'],
    ['observed', 'input', 'snapshot'],
  ])
})

t.test('prints a denied object unchanged, without companions, and exits with 1', async t => {
  const text = configMap('a', { deny: 'data.x', rewrite: 'x', companion: 'route', warn: '' }, 'data:\n  x: 1 # why\n')
  const { code, stdout, stderr } = await convertText(text, { translate: scripted })
  t.equal(stdout, text)
  t.equal(code, 1)
  t.equal(
    stderr,
    `stdin:7:3: denial VS-FAULT ConfigMap a data.x: about data.x
stdin:1:1: warning VS-FAULT ConfigMap a: about 
1 object, 0 rewritten, 0 companions, 1 warning, 1 denial
`,
  )
})

t.test('shows notes only with --verbose', async t => {
  const text = configMap('a', { note: 'data', warn: 'data' }).replace('name: a', 'name: a\n  namespace: team')
  const quiet = await convertText(text, { translate: scripted })
  t.equal(quiet.stderr.split('\n').length, 3)
  t.match(quiet.stderr, /^stdin:1:1: warning VS-FAULT ConfigMap team\/a data: about data\n/)
  const verbose = await convertText(text, { translate: scripted }, '--verbose')
  t.match(verbose.stderr, 'stdin:1:1: note VS-FAULT ConfigMap team/a data: about data\n')
  t.equal(quiet.code, 0)
})

t.test('prints nothing when any input is broken, and still says all that there is to say', async t => {
  const dir = t.testdir({
    'a.yaml': `${configMap('a', { warn: 'data' })}---\na: [\n---\n${configMap('b')}`,
    'b.yaml': configMap('b'),
  })
  const { code, stdout, stderr } = await sidestep(['convert', '-f', dir, '-f', join(dir, 'none.yaml')], {
    translate: scripted,
  })
  t.equal(stdout, '')
  t.equal(code, 2)
  const lines = stderr.replaceAll(join(dir, '/'), '').trimEnd().split('\n')
  t.strictSame(lines, [
    'a.yaml:1:1: warning VS-FAULT ConfigMap a data: about data',
    lines[1] ?? '',
    'none.yaml: error: is not there; check the path',
    'b.yaml:4:3: error metadata.name: ConfigMap b is in a.yaml:12 already; remove one of the two',
    '3 objects, 0 rewritten, 0 companions, 1 warning, 0 denials; 3 errors, so nothing is printed',
  ])
  t.match(lines[1], /^a\.yaml:\d+:\d+: error: is no YAML: /)
  const broken = await convertText(configMap('a'), {}, '--snapshot', join(dir, 'none.yaml'))
  t.equal(broken.code, 2)
  t.equal(broken.stdout, '')
})

t.test('-o json prints one List', async t => {
  const { stdout } = await convertText(
    `${configMap('a', { rewrite: 'on' })}---\n${configMap('b')}`,
    { translate: scripted },
    '-o',
    'json',
  )
  t.match(JSON.parse(stdout), {
    apiVersion: 'v1',
    kind: 'List',
    items: [{ metadata: { name: 'a', labels: { rewritten: 'on' } } }, { metadata: { name: 'b' } }],
  })
  t.equal((await convertText(stdout, {}, '-o', 'json')).stdout, stdout, 'and reads it')
  t.strictSame(JSON.parse((await convertText('', {}, '-o', 'json')).stdout).items, [])
})

t.test('never rounds an integer in silence', async t => {
  const text = configMap('a', { rewrite: 'x' }, 'data: {big: 9007199254740993, exact: 9007199254740992, float: 1e21}\n')
  t.equal((await convertText(text)).stdout, text, 'unchanged text keeps every digit')
  for (const [translate, output] of [
    [scripted, 'yaml'],
    [undefined, 'json'],
  ] as const) {
    const { code, stdout, stderr } = await convertText(text, translate ? { translate } : {}, '-o', output)
    t.match(stderr, /^stdin:6:13: error: 9007199254740993 would be rounded/)
    t.equal(stdout, '')
    t.equal(code, 2)
  }
})

t.test('--diagnostics writes every finding as a line of JSON', async t => {
  const file = join(t.testdir({}), 'findings.jsonl')
  const list = {
    apiVersion: 'v1',
    kind: 'List',
    items: [
      JSON.parse(
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"namespace":"n","name":"a","annotations":{"note":"metadata.name","deny":"data[x.y]"}}}',
      ),
    ],
  }
  await convertText(JSON.stringify(list, undefined, 1), { translate: scripted }, '--diagnostics', file)
  const findings = readFileSync(file, 'utf8')
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  t.strictSame(findings, [
    {
      code: 'VS-FAULT',
      severity: 'denial',
      kind: 'ConfigMap',
      namespace: 'n',
      name: 'a',
      field: 'data[x.y]',
      file: 'stdin',
      line: 5,
      message: 'about data[x.y]',
    },
    {
      code: 'VS-FAULT',
      severity: 'note',
      kind: 'ConfigMap',
      namespace: 'n',
      name: 'a',
      field: 'metadata.name',
      file: 'stdin',
      line: 10,
      message: 'about metadata.name',
    },
  ])
  const nowhere = await convertText(configMap('a'), {}, '--diagnostics', join(file, 'x'))
  t.match(nowhere.stderr, /findings\.jsonl\/x: error: cannot be written/)
  t.equal(nowhere.stdout, '')
  t.equal(nowhere.code, 2)
})

t.test('colours severities on a terminal only, and not when NO_COLOR is set', async t => {
  const text = configMap('a', { deny: '', warn: '' })
  const isColoured = async (surroundings: { isTTY?: boolean; env?: Record<string, string> }) =>
    (await convertText(text, { translate: scripted, ...surroundings })).stderr.includes('\u001b[31mdenial\u001b[0m')
  t.equal(await isColoured({ isTTY: true }), true)
  t.equal(await isColoured({ isTTY: true, env: { NO_COLOR: '' } }), true, 'empty means not set')
  t.equal(await isColoured({ isTTY: true, env: { NO_COLOR: '1' } }), false)
  t.equal(await isColoured({ isTTY: true, env: { TERM: 'dumb' } }), false)
  t.equal(await isColoured({}), false)
})

t.test('lets no name in a file write to the terminal', async t => {
  const name = JSON.stringify('a\u001b[2J\nb')
  const { stderr } = await convertText(
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: ${name}, annotations: {warn: x}}\n`,
    { translate: scripted },
  )
  t.match(stderr, /^stdin:1:1: warning VS-FAULT ConfigMap a\\u001b\[2J\\u000ab x: about x\n/)
})

t.test('unusable settings are one line each, and nothing is printed', async t => {
  const file = join(t.testdir({ 'settings.yaml': 'mode: maybe\nrevisions: x\n' }), 'settings.yaml')
  const { code, stdout, stderr } = await convertText(configMap('a'), {}, '--settings', file)
  t.match(stderr, 'settings.yaml:1:1')
  t.match(stderr, 'settings.yaml:2:1')
  t.equal(stdout, '')
  t.equal(code, 2)
  const profile = await convertText(configMap('a'), {}, '--profile', 'none')
  t.match(profile.stderr, 'flag --profile')
  t.equal(profile.code, 2)
})

t.test('names the object when the core throws, which it must not', async t => {
  const { code, stdout, stderr } = await convertText(configMap('a'), {
    translate: () => {
      throw new TypeError('impossible')
    },
  })
  t.match(stderr, /^error: this is a bug in sidestep, please report it\nError: ConfigMap a in stdin:1/)
  t.match(stderr, 'impossible')
  t.equal(stdout, '')
  t.equal(code, 2)
})

t.test('translates the example, and its own output to the same', async t => {
  const first = await sidestep(['convert', '-f', 'examples/kubeflow'])
  t.equal(first.code, 0)
  t.match(first.stdout, 'kind: HTTPRoute')
  const second = await convertText(first.stdout)
  t.equal(second.stdout, first.stdout)
})
