// Files come from anywhere: what is wrong with one is said in a line that names place, field and remedy, and nothing
// in one crashes, hangs or hides the rest.
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { readText } from '../../src/cli/documents.ts'
import { problemLine } from '../../src/cli/print.ts'
import { read } from '../../src/cli/read.ts'

const nothing = (async function* () {})()
const namesIn = (text: string) => readText('f', text).inputs.map(({ object }) => object.metadata.name)
const linesOf = (text: string) => readText('f', text).problems.map(problem => problemLine(problem, false).trimEnd())
const configMap = (name: string, more = '') => `apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: ${name}\n${more}`

t.test('reads every document of a stream and passes over empty ones', async t => {
  t.strictSame(
    namesIn(`# licence\n---\n${configMap('a')}---\n---\n# only a comment\n---\nnull\n--- # b\n${configMap('b')}...\n`),
    ['a', 'b'],
  )
  t.strictSame(namesIn(''), [])
  t.strictSame(namesIn('\n# nothing\n'), [])
  t.strictSame(namesIn(configMap('crlf').replaceAll('\n', '\r\n')), ['crlf'])
  t.strictSame(namesIn(`%YAML 1.2\n---\n${configMap('a')}...\n%YAML 1.2\n---\n${configMap('b')}`), ['a', 'b'])
})

t.test('reads JSON, indented by tabs too, and JSON texts that follow each other', async t => {
  const json = (name: string, indent?: string) =>
    JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } }, undefined, indent)
  t.strictSame(namesIn(json('a', '\t')), ['a'])
  t.strictSame(namesIn(`${json('a')}\n${json('b')}\n${json('c', '  ')}\n${json('d')}`), ['a', 'b', 'c', 'd'])
  t.strictSame(namesIn(`${json('a')}\n---\n${configMap('b')}`), ['a', 'b'])
})

t.test('expands Lists, also inside Lists', async t => {
  const inner = {
    apiVersion: 'v1',
    kind: 'ServiceList',
    items: [{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'b' } }],
  }
  const items = [{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'a' } }, inner]
  t.strictSame(namesIn(JSON.stringify({ apiVersion: 'v1', kind: 'List', items })), ['a', 'b'])
  t.strictSame(namesIn('apiVersion: v1\nkind: List\nitems: []\n'), [])
  t.strictSame(namesIn('apiVersion: v1\nkind: List\nitems:\n'), [])
  t.match(linesOf('apiVersion: v1\nkind: List\nitems: {a: b}\n'), [
    'f:3:1: error items: is no list; make it one of objects',
  ])
  t.match(
    linesOf('apiVersion: v1\nkind: List\nitems:\n- 3\n- apiVersion: v1\n  kind: Service\n  metadata: {name: 1}\n'),
    [
      'f:4:3: error items[0]: is the number 3, no Kubernetes object',
      'f:7:14: error items[1].metadata.name: is the number 1 where Kubernetes takes a string; put it in quotes',
    ],
  )
})

t.test('merges `<<` and follows aliases', async t => {
  const text = configMap('a', 'base: &base {x: 1, w: {z: 2}}\ndata:\n  <<: *base\n  x: 3\nagain: *base\n')
  const [input] = readText('f', text).inputs
  t.match(input?.object, { data: { x: 3, w: { z: 2 } }, again: { x: 1 } })
  t.match(input?.positionOf('data.w.z'), { line: 5, column: 24 }, 'a merged field stands where it was written')
})

t.test('finds the place of a field, or of its nearest ancestor', async t => {
  const text = `# first line
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata:
  name: a
  labels: {istio.io/dataplane-mode: none, "a.b/c": d}
spec:
  http:
  - match:
    - uri: {prefix: /a}
      headers: {x-user: {exact: me}, "x:y": {exact: 1}}
    - {uri: {exact: /b}}
  -
    name: second
`
  const [input] = readText('f', text).inputs
  const place = (field: string) => {
    const { line, column } = input?.positionOf(field) ?? {}
    return `${line}:${column}`
  }
  t.equal(place(''), '3:1')
  t.equal(place('spec'), '8:1')
  t.equal(place('spec.http[0]'), '10:5')
  t.equal(place('spec.http[0].match[0].uri.prefix'), '11:13')
  t.equal(place('spec.http[0].match[0].headers[x-user]'), '12:17')
  t.equal(place('spec.http[0].match[0].headers[x:y].exact'), '12:46')
  t.equal(place('spec.http[0].match[1].uri.exact'), '13:14')
  t.equal(place('spec.http[1].name'), '15:5')
  t.equal(place('metadata.labels[istio.io/dataplane-mode]'), '7:12')
  t.equal(place('metadata.labels[a.b/c]'), '7:43')
  t.equal(place('spec.http[0].rewrite.uri'), '10:5', 'absent: the nearest ancestor')
  t.equal(place('spec.http[7].route'), '9:3')
  t.equal(place('spec.http[0].match[0].uri.prefix.deeper'), '11:13')
  t.equal(place('metadata.annotations[a]'), '5:1')
})

t.test('says what keeps a document from being an object', async t => {
  const cases: [text: string, line: string][] = [
    ['just text', 'f:1:1: error: is a string, no Kubernetes object; start it with apiVersion, kind and metadata'],
    ['[1, 2]', 'f:1:1: error: is a list, no Kubernetes object; start it with apiVersion, kind and metadata'],
    [
      'kind: A\nmetadata: {name: a}',
      'f:1:1: error apiVersion: is missing; add it, for example apiVersion: networking.istio.io/v1',
    ],
    [
      'apiVersion: 1\nkind: A\nmetadata: {name: a}',
      'f:1:1: error apiVersion: is the number 1 where Kubernetes takes a string; put it in quotes',
    ],
    ['apiVersion: v1\nmetadata: {name: a}', 'f:1:1: error kind: is missing; add it, for example kind: VirtualService'],
    ['apiVersion: v1\nkind: A', 'f:1:1: error metadata: is missing; add it with a name'],
    ['apiVersion: v1\nkind: A\nmetadata: a', 'f:3:1: error metadata: is a string; make it a map with a name'],
    ['apiVersion: v1\nkind: A\nmetadata: {}', 'f:3:1: error metadata.name: is missing; give the object a name'],
    [
      configMap('123'),
      'f:4:3: error metadata.name: is the number 123 where Kubernetes takes a string; put it in quotes',
    ],
    [
      configMap('yes'),
      'f:4:3: error metadata.name: is the boolean true where Kubernetes takes a string; put it in quotes',
    ],
    [configMap('{a: b}'), 'f:4:3: error metadata.name: is a map where Kubernetes takes a string; correct it'],
    [
      configMap('a', '  namespace: 5'),
      'f:5:3: error metadata.namespace: is the number 5 where Kubernetes takes a string; put it in quotes',
    ],
    [
      configMap('a', '  labels: {on: x, a/b: off}'),
      'f:5:19: error metadata.labels[a/b]: is the boolean false where Kubernetes takes a string; put it in quotes',
    ],
    [configMap('a', '  annotations: [x]'), 'f:5:3: error metadata.annotations: is a list; make it a map of strings'],
  ]
  for (const [text, line] of cases) t.strictSame(linesOf(text), [line])
  t.strictSame(linesOf(configMap('a', '  labels: {a: "true", b: }\n  annotations:\n')), [], 'empty values are empty')
  t.strictSame(linesOf('apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}'), [])
})

t.test('says where the YAML is broken, and goes on behind the next ---', async t => {
  const broken = [
    'a: "open',
    'a: [1, 2',
    'a:\n\tb: c',
    '  a: 1\n b: 2',
    'a: b: c',
    'a: @x',
    "'",
    '{',
    '}',
    'a: *none',
    '&a [*a]',
    'a: 1\na: 2',
  ]
  for (const text of broken) {
    const { inputs, problems } = readText('f', `${configMap('before')}---\n${text}\n---\n${configMap('after')}`)
    t.strictSame(
      inputs.map(({ object }) => object.metadata.name),
      ['before', 'after'],
      text,
    )
    t.equal(problems.length, 1, text)
    t.ok((problems[0]?.line ?? 0) >= 6, text)
  }
  t.strictSame(linesOf('a: 1\nb: {c: 1, "c": 2}\n'), ['f:2:11: error: the key c is here twice; remove one of the two'])
  t.strictSame(linesOf('a: {1: x, "1": y}\n'), ['f:1:11: error: the key 1 is here twice; remove one of the two'])
  t.match(linesOf('name: {{ .Release.Name }}\n'), [/^f:1:\d+: error: .*template/])
  t.match(linesOf('a: !secret x\n'), [/^f:1:4: error: is no YAML: Unresolved tag: !secret/])
})

t.test('is not impressed by garbage', async t => {
  t.match(linesOf('a: \u0000\u0001'), ['f:1:4: error: is a control character'])
  t.match(linesOf('['.repeat(100_000)), ['f:1:1: error: is nested more than 500 levels deep'])
  t.match(linesOf('- '.repeat(50_000)), ['f:1:1: error: is nested more than 500 levels deep'])
  t.match(linesOf(`${'{a: '.repeat(20_000)}1${'}'.repeat(20_000)}`), [
    'f:1:1: error: is nested more than 500 levels deep',
  ])
  t.strictSame(namesIn(configMap('deep', `data: ${'['.repeat(400)}${']'.repeat(400)}`)), ['deep'])
  const laughs = [
    'a0: &a0 [x]',
    ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} [${`*a${i}, `.repeat(10)}]`),
  ]
  t.match(linesOf(laughs.join('\n')), ['has aliases that do not expand'])
  const merges = [
    'a0: &a0 {x: 1}',
    ...Array.from({ length: 30 }, (_, i) => `a${i + 1}: &a${i + 1} {<<: [${`*a${i}, `.repeat(10)}]}`),
  ]
  t.match(linesOf(merges.join('\n')), ['has aliases that do not expand'])
})

t.test('reads a map of many keys, and a text of many documents, in one pass', async t => {
  const start = Date.now()
  const keys = Array.from({ length: 20_000 }, (_, i) => `  key${i}: x\n`).join('')
  t.strictSame(namesIn(configMap('a', `data:\n${keys}`)), ['a'])
  t.equal(namesIn(Array.from({ length: 2_000 }, (_, i) => configMap(`a${i}`)).join('---\n')).length, 2_000)
  t.ok(Date.now() - start < 20_000)
})

t.test('keeps __proto__ and constructor as the keys they are', async t => {
  const [input] = readText(
    'f',
    configMap('a', '  labels: {__proto__: x, constructor: b}\n__proto__: {polluted: 1}\n'),
  ).inputs
  t.strictSame(Object.keys(input?.object.metadata.labels ?? {}), ['__proto__', 'constructor'])
  t.ok(Object.hasOwn(input?.object ?? {}, '__proto__'))
  t.notOk('polluted' in {})
  t.notOk('polluted' in (input?.object.metadata ?? {}))
})

t.test('reads directories recursively and in sorted order, and leaves other files alone', async t => {
  const dir = t.testdir({
    'b.yaml': configMap('b'),
    'a.yml': configMap('a'),
    c: { 'd.json': JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'd' } }) },
    'readme.md': 'a: [',
    empty: {},
  })
  const { inputs, problems } = await read([dir], nothing)
  t.strictSame(problems, [])
  t.strictSame(
    inputs.map(({ object }) => object.metadata.name),
    ['a', 'b', 'd'],
  )
  t.strictSame(inputs[2]?.positionOf('metadata.name'), { file: join(dir, 'c', 'd.json'), line: 1, column: 51 })
  t.match(
    (await read([join(dir, 'readme.md')], nothing)).problems,
    [{ message: /no YAML/ }],
    'a file that is named is read',
  )
  t.match((await read([join(dir, 'empty')], nothing)).problems, [{ message: /no \.yaml, \.yml or \.json file/ }])
})

t.test('says which file cannot be read, and reads the others', async t => {
  const dir = t.testdir({
    'a.yaml': configMap('a'),
    'utf16.yaml': Buffer.from('\ufeffa: 1', 'utf16le'),
    'locked.yaml': '',
  })
  chmodSync(join(dir, 'locked.yaml'), 0)
  const { inputs, problems } = await read([join(dir, 'none.yaml'), dir], nothing)
  t.strictSame(
    inputs.map(({ object }) => object.metadata.name),
    ['a'],
  )
  t.match(problems[0], { file: join(dir, 'none.yaml'), message: 'is not there; check the path' })
  t.match(problems.at(-1), { file: join(dir, 'utf16.yaml'), message: /no UTF-8 text/ })
  const isRoot = process.getuid?.() === 0
  if (!isRoot) t.match(problems[1], { file: join(dir, 'locked.yaml'), message: /may not be read/ })
})

t.test('names both places of an object that is there twice, whatever its version', async t => {
  const of = (version: string, namespace: string) =>
    `apiVersion: networking.istio.io/${version}\nkind: Gateway\nmetadata: {name: a${namespace && `, namespace: ${namespace}`}}\n`
  const dir = t.testdir({ 'a.yaml': of('v1', ''), 'b.yaml': of('v1beta1', 'default'), 'c.yaml': of('v1', 'other') })
  const { problems } = await read([dir], nothing)
  t.match(problems, [{ file: join(dir, 'b.yaml'), line: 3, column: 12, field: 'metadata.name' }])
  t.equal(problems[0]?.message, `Gateway default/a is in ${join(dir, 'a.yaml')}:3 already; remove one of the two`)
  const kubernetes = of('v1', '').replace('networking.istio.io', 'gateway.networking.k8s.io')
  t.strictSame((await read([join(dir, 'a.yaml')], nothing)).problems, [])
  t.strictSame(readText('f', `${of('v1', '')}---\n${kubernetes}`).inputs.length, 2, 'another group is another kind')
})

t.test('takes generated names for different objects', async t => {
  const job = 'apiVersion: batch/v1\nkind: Job\nmetadata: {generateName: a-}\n'
  const dir = t.testdir({ 'a.yaml': `${job}---\n${job}` })
  const { inputs, problems } = await read([dir], nothing)
  t.equal(inputs.length, 2)
  t.strictSame(problems, [])
})

t.test('tells who gives a kustomization what to do', async t => {
  const dir = t.testdir({ 'kustomization.yaml': 'resources: [a.yaml]\n', 'a.yaml': configMap('a') })
  t.match((await read([dir], nothing)).problems, [
    { file: join(dir, 'kustomization.yaml'), message: /kustomize build/ },
  ])
})
