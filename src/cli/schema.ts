// YAML as kubectl reads it, so that a file means the same to `sidestep convert -f` and to `kubectl apply -f`.
//
// kubectl converts YAML to JSON with sigs.k8s.io/yaml (a fork of go-yaml v2), which follows YAML 1.1 in what a plain
// scalar is: `on`, `yes` and even `y` are booleans, `012` is 10, `1_000` is 1000. Reading them as YAML 1.2 does would
// be gentler, but then we would judge and print another object than the one that kubectl sends: `exact: yes` would turn
// into a string here and be a boolean there. So input follows kubectl, measured value by value with kubectl 1.32, and
// where that makes a label or a name a boolean, read.ts says so instead of the API server. It departs from YAML 1.1
// where kubectl does: `0o7` is 7, `12:30` and dates are strings, infinity and NaN are errors, since JSON has neither.
//
// What we print is read by other tools as well, so a string is quoted when any of kubectl, YAML 1.1 or YAML 1.2 would
// read it as something else.
import { type ScalarTag, Schema, type Tags } from 'yaml'
import { stringTag } from 'yaml/util'

const bool: ScalarTag = {
  tag: 'tag:yaml.org,2002:bool',
  default: true,
  identify: value => typeof value === 'boolean',
  test: /^(?:[yYnN]|yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|true|True|TRUE|false|False|FALSE)$/,
  resolve: text => /^(?:[yYtT]|[oO][nN]$)/.test(text),
  stringify: ({ value }) => String(value),
}

const int: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  identify: value => Number.isInteger(value),
  test: /^(?:[-+]_*)?(?:0_*[xX][\da-fA-F_]+|0_*[bB][01_]+|0_*[oO][0-7_]+|\d[\d_]*)$/,
  resolve: numberOf,
  stringify: ({ value }) => JSON.stringify(value),
}

const float: ScalarTag = {
  tag: 'tag:yaml.org,2002:float',
  default: true,
  identify: value => typeof value === 'number',
  test: /^(?:[-+]_*)?(?:(?:\.\d[\d_]*|\d[\d_]*(?:\.[\d_]*)?)(?:[eE][-+]?[\d_]+)?|\.(?:inf|Inf|INF))$|^\.(?:nan|NaN|NAN)$/,
  resolve: (text, onError) => {
    if (/[nN]/.test(text)) onError(`${text} has no form in JSON; put it in quotes if it is text`)
    return numberOf(text)
  },
  stringify: ({ value }) => JSON.stringify(value),
}

/** A number that kubectl cannot hold, such as `1e400`, stays text, as it does there. */
function numberOf(text: string): number | string {
  const digits = text.replace(/^[-+]/, '').replaceAll('_', '')
  const magnitude = /^0[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number(digits)
  if (!Number.isFinite(magnitude)) return text
  return text.startsWith('-') ? 0 - magnitude : magnitude
}

/** go-yaml takes these for line breaks, or refuses them, wherever they stand unescaped. */
const misreadCharacters = /[\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]/g

/** In a block scalar, go-yaml may take white space before the first word for indentation. */
const startsBlank = /^\s/

const string: ScalarTag = {
  ...stringTag,
  stringify: (item, ...context) => {
    const value = String(item.value)
    if (value.search(misreadCharacters) < 0 && !startsBlank.test(value))
      return stringTag.stringify?.(item, ...context) ?? ''
    return JSON.stringify(value).replace(
      misreadCharacters,
      character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
  },
}

const replaced = [bool, int, float, string].map(({ tag }) => tag)

const customTags = (core: Tags): Tags => [
  ...core.filter(tag => typeof tag !== 'string' && !replaced.includes(tag.tag)),
  string,
  bool,
  int,
  float,
]

/** For parsing. Tags outside this schema are not resolved: no object of another class can come out of a file. */
export const inputSchema = new Schema({ schema: 'core', customTags, merge: true, resolveKnownTags: false })

/** Never resolved to, only looked at when a string is printed: YAML 1.1 has dates. */
const date: ScalarTag = {
  tag: 'tag:yaml.org,2002:timestamp',
  default: true,
  identify: () => false,
  test: /^\d{4}-\d\d?-\d\d?(?:$|[Tt \t])/,
  resolve: text => text,
}

/** For printing: quotes what YAML 1.1 would misread too. */
export const outputSchema = new Schema({
  schema: 'core',
  customTags: core => [...customTags(core), date],
  compat: 'yaml-1.1',
  resolveKnownTags: false,
})
