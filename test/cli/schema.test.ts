// A file must mean to sidestep what it means to kubectl. The expectations are what kubectl 1.32 made of each value.
import t from 'tap'
import { parseDocument, stringify } from 'yaml'
import { inputSchema, outputSchema } from '../../src/cli/schema.ts'

const asKubectlReads: [text: string, value: unknown][] = [
  ...['y', 'Y', 'yes', 'Yes', 'YES', 'on', 'On', 'ON', 'true', 'True', 'TRUE'].map((text): [string, true] => [
    text,
    true,
  ]),
  ...['n', 'N', 'no', 'No', 'NO', 'off', 'Off', 'OFF', 'false', 'False'].map((text): [string, false] => [text, false]),
  ...['tRue', 'yEs', 'oN', '"true"', "'on'"].map((text): [string, string] => [text, text.replace(/["']/g, '')]),
  ['~', null],
  ['Null', null],
  ['1e3', 1000],
  ['1.e3', 1000],
  ['1e+3', 1000],
  ['1e3_0', 1e30],
  ['1e', '1e'],
  ['1e400', '1e400'],
  ['012', 10],
  ['-012', -10],
  ['0777_7', 4095],
  ['089', 89],
  ['0o7', 7],
  ['0O7', 7],
  ['0o8', '0o8'],
  ['0x1F', 31],
  ['-0x1F', -31],
  ['0x', '0x'],
  ['0b11', 3],
  ['0b2', '0b2'],
  ['1_000', 1000],
  ['_1', '_1'],
  ['-_1', -1],
  ['+1', 1],
  ['+', '+'],
  ['-0', 0],
  ['.5', 0.5],
  ['._5', '._5'],
  ['1.', 1],
  ['1.0', 1],
  ['1.2.3', '1.2.3'],
  ['10.0.0.1', '10.0.0.1'],
  ['12:30', '12:30'],
  ['190:20:30', '190:20:30'],
  ['2001-01-01', '2001-01-01'],
  ['2001-01-01T00:00:00Z', '2001-01-01T00:00:00Z'],
  ['=', '='],
  ['1,000', '1,000'],
  ['!!str on', 'on'],
  ['!!int "3"', 3],
  ['!!bool yes', true],
]

t.test('reads scalars as kubectl does', async t => {
  for (const [text, value] of asKubectlReads) {
    const document = parseDocument(`value: ${text}\n`, { schema: inputSchema })
    t.strictSame([...document.errors, ...document.warnings], [], text)
    t.strictSame(document.toJS(), { value }, text)
  }
})

t.test('refuses what has no form in JSON, and tags', async t => {
  for (const text of ['.inf', '-.Inf', '.NaN', '!!binary aGk=', '!!timestamp 2001-01-01', '!!set {a}', '!custom x']) {
    const { errors, warnings } = parseDocument(`value: ${text}\n`, { schema: inputSchema })
    t.equal(errors.length + warnings.length, 1, text)
  }
})

t.test('prints numbers and booleans in the one form that everybody reads', async t => {
  for (const [value, text] of [
    [true, 'true'],
    [false, 'false'],
    [10, '10'],
    [0.5, '0.5'],
    [1e21, '1e+21'],
    [null, 'null'],
  ])
    t.equal(stringify({ value }, { schema: outputSchema }), `value: ${text}\n`)
})

t.test('quotes every string that kubectl, YAML 1.1 or YAML 1.2 reads as something else', async t => {
  const traps = [
    ...asKubectlReads
      .filter(([text, value]) => typeof value !== 'string' && !text.startsWith('!'))
      .map(([text]) => text),
    ...[
      '',
      'null',
      '.inf',
      '.NaN',
      '1e400',
      '12:30',
      '190:20:30',
      '2001-01-01',
      '0o7',
      '<<',
      '=x: y',
      '- a',
      '# a',
      'a: b',
    ],
  ]
  for (const trap of traps) {
    const yaml = stringify({ value: trap, [trap]: 'key' }, { schema: outputSchema })
    t.match(yaml, /^value: ["']/, trap)
    t.match(yaml, /\n["']/, `${trap} as a key`)
    t.strictSame(parseDocument(yaml, { schema: inputSchema }).toJS(), { value: trap, [trap]: 'key' }, trap)
  }
})

t.test('leaves ordinary words and versions unquoted', async t => {
  for (const word of ['istio', 'team-a/gateway', '1.2.3', 'v1', 'yes-man', '/path/', 'a_b', '10.0.0.1'])
    t.equal(stringify({ value: word }, { schema: outputSchema }), `value: ${word}\n`)
})

t.test('escapes what go-yaml takes for a line break or for indentation', async t => {
  for (const value of ['a\u0085b', 'a\u2028b', '\ufeffa', 'a\u007fb', '\ta\nb', ' \n', '\n\na', ' a\nb']) {
    const yaml = stringify({ value }, { schema: outputSchema })
    t.match(yaml, /^value: ".*"\n$/)
    t.notMatch(yaml, /[\u007f-\u009f\u2028\u2029\ufeff]/)
    t.strictSame(parseDocument(yaml, { schema: inputSchema }).toJS(), { value })
  }
})
