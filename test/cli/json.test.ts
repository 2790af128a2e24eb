// JSON is YAML: read as either, it has to come to the same.
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { readText } from '../../src/cli/documents.ts'
import { jsonIn } from '../../src/cli/json.ts'

const head = '"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}'

function reading(text: string) {
  const { inputs, problems } = readText('f', text)
  return { problems, inputs: inputs.map(({ object, text, rounded }) => ({ object, text, rounded })) }
}

/** A comment is no JSON, so that the YAML parser reads it. */
function sameAsYaml(t: Test, text: string): void {
  t.strictSame(reading(text), reading(`${text}\n#\n`), text.slice(0, 200))
}

t.test('any JSON is the same as by the YAML parser', async t => {
  const object = fc.record({
    apiVersion: fc.constant('v1'),
    kind: fc.constantFrom('ConfigMap', 'List'),
    metadata: fc.record({ name: fc.string({ unit: 'grapheme', minLength: 1 }) }),
    spec: fc.jsonValue({ maxDepth: 4 }),
    items: fc.constant([]),
  })
  fc.assert(
    fc.property(object, fc.constantFrom(undefined, 2, '\t'), (object, indent) => {
      sameAsYaml(t, JSON.stringify(object, undefined, indent))
    }),
    { numRuns: 300, seed: 1 },
  )
})

t.test('and so is what only looks harmless', async t => {
  for (const more of [
    '"a": 1, "a": 2',
    '"a": {"b": 1, "c": {}, "b": 2}',
    '"a": [{"b\\"": 1, "b\\"": 2}]',
    '"a": {"x": 1, "\\u0078": 2}',
    '"a": "not: \\"a\\": key"',
    '"a": 9007199254740993',
    '"a": 12345678901234567890, "b": 1.5e3, "c": 1e400, "d": -0, "e": 0.1',
    '"<<": {"a": 1}',
    '"__proto__": {"a": 1}',
    '"a": "\\ud83d\\ude00 \\/ \\u2028"',
    '"a": [], "b": {}, "c": null, "d": true',
    `"a": ${'['.repeat(600)}${']'.repeat(600)}`,
    '"metadata": 1',
  ])
    sameAsYaml(t, `{${head}, ${more}}`)
})

t.test('what is written by machines takes the short way, and still has its positions', async t => {
  const text = JSON.stringify({ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } }, undefined, 2)
  t.ok(jsonIn(text, 500))
  t.notOk(jsonIn(text.replace('"kind"', 'kind'), 500))
  t.match(readText('f', text).inputs[0]?.positionOf('metadata.name'), { line: 5, column: 5 })
})
