// Reads the settings once: a profile, the file over it, the environment over the file, flags over the environment.
import { readFileSync } from 'node:fs'
import type { ErrorObject, ValidateFunction } from 'ajv'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml'
import { catalogue } from './translate/diagnostics.ts'
import { isRecord } from './translate/fate.ts'
import { profiles } from './translate/profiles.ts'
import type { Settings } from './translate/settings.ts'

/** What a settings file may hold: a profile, and any fields of `Settings` over those of the profile. */
export type SettingsFile = Partial<Settings> & { profile?: keyof typeof profiles }

/** The fields that flags and the environment can set, as text. */
export type SettingsOverrides = { [Field in keyof typeof variables]?: string | undefined }

/** Settings that cannot be used; `message` has one line per problem, `problems` the same lines. */
export class SettingsError extends Error {
  readonly code = 'SETTINGS_INVALID'
  readonly problems: readonly string[]

  constructor(problems: readonly string[], options?: ErrorOptions) {
    super(problems.join('\n'), options)
    this.name = 'SettingsError'
    this.problems = problems
  }
}

// Each by name, never all of SIDESTEP_*: next to a Service called sidestep, Kubernetes gives every Pod variables such as
// SIDESTEP_PORT.
const variables = {
  profile: 'SIDESTEP_PROFILE',
  mode: 'SIDESTEP_MODE',
  rootNamespace: 'SIDESTEP_ROOT_NAMESPACE',
  trustDomain: 'SIDESTEP_TRUST_DOMAIN',
  clusterDomain: 'SIDESTEP_CLUSTER_DOMAIN',
  revision: 'SIDESTEP_REVISION',
  virtualServices: 'SIDESTEP_VIRTUAL_SERVICES',
} as const

/**
 * The settings, frozen. A field of the file replaces the profile's field as a whole (a list of `namespaces` is the whole
 * list); only `severities` and `pathPrefixes` are merged key by key. SIDESTEP_SETTINGS names the file when `file` does not.
 * @throws SettingsError with every problem of file, environment and flags at once
 */
export function loadSettings(sources: SettingsSources = {}): Settings {
  return loadProfile(sources).settings
}

export interface SettingsSources {
  file?: string | undefined
  env?: Record<string, string | undefined>
  flags?: SettingsOverrides
}

/** The same, with the name of the profile that they begin with, and with what the file gives itself. */
export function loadProfile({ file, env = process.env, flags = {} }: SettingsSources): {
  profile: keyof typeof profiles
  settings: Settings
  given: Partial<Settings>
} {
  const problems: string[] = []
  const path = file ?? (env.SIDESTEP_SETTINGS || undefined)
  const fromFile = path === undefined ? {} : readSettingsFile(path, problems)
  const overrides: Record<string, string> = {}
  for (const [field, variable] of Object.entries(variables)) {
    override(overrides, field, env[variable], `environment ${variable}`, problems)
    override(overrides, field, flags[field as keyof SettingsOverrides], `flag --${toKebab(field)}`, problems)
  }
  if (problems.length > 0) throw new SettingsError(problems)

  const { profile = 'kubeflow', ...fields } = { ...fromFile, ...overrides } as SettingsFile
  const base: Settings = profiles[profile]
  const severities = { ...base.severities, ...fields.severities }
  const pathPrefixes = { ...base.pathPrefixes, ...fields.pathPrefixes }
  const { profile: _, ...given } = fromFile
  return { profile, given, settings: deepFreeze(structuredClone({ ...base, ...fields, severities, pathPrefixes })) }
}

function override(
  overrides: Record<string, string>,
  field: string,
  value: string | undefined,
  where: string,
  problems: string[],
): void {
  if (value === undefined) return
  const found = problemsOf({ [field]: value })
  for (const { field, sentence } of found) problems.push(`${where}: ${field}: ${sentence}`)
  overrides[field] = value
}

// Files ------------------------------------------------------------------------------------------------------------

type Path = readonly string[]

/** A problem of a settings document: where it stands, the field's name for a person, and what to do. */
interface Problem {
  at: Path
  field: string
  sentence: string
}

function readSettingsFile(file: string, problems: string[]): SettingsFile {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (cause) {
    throw new SettingsError([`${file}: cannot be read: ${(cause as Error).message}`], { cause })
  }
  const lines = new LineCounter()
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false })
  const place = (offset: number) => {
    const { line, col } = lines.linePos(offset)
    return `${file}:${line}:${col}`
  }
  for (const { code, message, pos } of [...document.errors, ...document.warnings]) {
    const isTwice = code === 'DUPLICATE_KEY'
    const sentence = isTwice ? `${keyAt(text, pos[0])}: is given twice; keep one of them` : `YAML: ${message}`
    problems.push(`${place(pos[0])}: ${sentence}`)
  }
  if (document.errors.length > 0) return {}
  const settings: unknown = document.toJS() ?? {}
  const found = problemsOf(settings).map(problem => ({ ...problem, offset: offsetOf(document, problem.at) }))
  for (const { offset, field, sentence } of found.sort((a, b) => a.offset - b.offset))
    problems.push(`${place(offset)}: ${field}: ${sentence}`)
  return settings as SettingsFile
}

function keyAt(text: string, offset: number): string {
  return /^[^:\n]*/.exec(text.slice(offset))?.[0].trim() ?? ''
}

/** The offset of a field's key, or of a list's entry: as near to the path as the document goes. */
function offsetOf(document: Document, path: Path): number {
  let node: unknown = document.contents
  let offset = 0
  for (const name of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === name)
      if (!pair) break
      offset = (isScalar(pair.key) && pair.key.range?.[0]) || offset
      node = pair.value
    } else if (isSeq(node)) {
      node = node.items[Number(name)]
      offset = (node as { range?: [number, number, number] } | undefined)?.range?.[0] ?? offset
    } else break
  }
  return offset
}

// Problems ---------------------------------------------------------------------------------------------------------

const schemaFile = new URL('../deploy/settings.schema.json', import.meta.url)
let validate: ValidateFunction | undefined

/** Compiled for the first file: without one, a process is ready a tenth sooner. */
function validator(): ValidateFunction {
  const options = { allErrors: true, verbose: true, allowUnionTypes: true, strictRequired: false }
  validate ??= new Ajv2020(options).compile(JSON.parse(readFileSync(schemaFile, 'utf8')))
  return validate
}

function problemsOf(settings: unknown): Problem[] {
  const isValid = validator()
  const errors = isValid(settings) ? [] : (isValid.errors ?? []).filter(isProblem)
  return [...errors.map(problemOf), ...severityProblems(settings), ...gatewayProblems(settings)]
}

/** Not the branches of a choice, which stand beside the choice itself, nor that a condition does not hold, but what fails. */
function isProblem({ keyword, schemaPath }: ErrorObject): boolean {
  return keyword !== 'if' && !/\/(any|one)Of\/\d/.test(schemaPath)
}

function problemOf({ instancePath, keyword, params, data, parentSchema = {}, message }: ErrorObject): Problem {
  const path = instancePath.split('/').slice(1).map(unescapePointer)
  const at = (below: Path, sentence: string): Problem => ({
    at: [...path, ...below],
    field: fieldOf([...path, ...below]),
    sentence,
  })
  const fields = Object.keys(parentSchema.properties ?? {}).join(', ')
  switch (keyword) {
    case 'additionalProperties':
      return at([params.additionalProperty], `is no field here; use one of ${fields}`)
    case 'required':
      return at([params.missingProperty], 'is missing and has no default; add it')
    case 'enum':
      return at([], `must be ${params.allowedValues.join(' or ')}, not ${JSON.stringify(data)}`)
    case 'type':
      return at(
        [],
        `must be of type ${[params.type].flat().join(' or ')}, not ${typeOf(data)}${quotesHint(params.type, data)}`,
      )
    case 'pattern':
      return at([], `must be ${parentSchema.title}, such as ${parentSchema.examples?.[0]}, not ${JSON.stringify(data)}`)
    case 'oneOf':
    case 'anyOf':
      return at([], `needs ${params.passingSchemas ? 'only one of ' : ''}${choicesOf(parentSchema[keyword])}`)
    case 'minItems':
    case 'minProperties':
    case 'minLength':
      return at([], 'must not be empty; fill it in or leave it out')
    default:
      return at([], message ?? keyword)
  }
}

/** What no schema can say: which codes there are, and what a pattern can do. */
function severityProblems(settings: unknown): Problem[] {
  const severities = isRecord(settings) && isRecord(settings.severities) ? settings.severities : {}
  const codes = Object.keys(catalogue)
  return Object.entries(severities).flatMap(([key, severity]) => {
    const at = (sentence: string): Problem[] => [
      { at: ['severities', key], field: fieldOf(['severities', key]), sentence },
    ]
    if (Object.hasOwn(catalogue, key)) return []
    if (!key.includes('*')) return at('is no diagnostic code; docs/diagnostics lists them')
    if (key.indexOf('*') !== key.length - 1) return at('must have its * at the end, such as VS-*')
    if (!codes.some(code => code.startsWith(key.slice(0, -1))))
      return at('matches no diagnostic code; docs/diagnostics lists them')
    // A pattern that lowers would do nothing, in silence: whoever wrote it means something else.
    if (severity === 'note') return at('can only raise, so note does nothing; name the exact codes to lower')
    return []
  })
}

/** Two mappings that create one Gateway would each undo the other's. */
function gatewayProblems(settings: unknown): Problem[] {
  const gateways = isRecord(settings) && Array.isArray(settings.gateways) ? settings.gateways : []
  const created = gateways.map((mapping: unknown) =>
    isRecord(mapping) && mapping.create ? mapping.gateway : undefined,
  )
  return created.flatMap((gateway, i): Problem[] => {
    const first = created.indexOf(gateway)
    if (gateway === undefined || first === i) return []
    const at = ['gateways', String(i), 'gateway']
    const sentence = `is created by gateways[${first}] already; list all istioGateways there`
    return [{ at, field: `gateways[${i}].gateway`, sentence }]
  })
}

function choicesOf(branches: { required: string[] }[]): string {
  return branches.flatMap(({ required }) => required).join(' or ')
}

function typeOf(value: unknown): string {
  if (value === null) return 'empty'
  return Array.isArray(value) ? 'array' : typeof value
}

function quotesHint(wanted: unknown, value: unknown): string {
  const isBare = wanted === 'string' && (typeof value === 'number' || typeof value === 'boolean')
  return isBare ? `; write "${value}" in quotes` : ''
}

/** `['namespaces', '0', 'waypoint']` -> `namespaces[0].waypoint`, as diagnostics spell fields. */
function fieldOf(path: Path): string {
  if (path.length === 0) return 'settings'
  return path.reduce((field, name) => {
    if (!/^[a-z]\w*$/i.test(name)) return `${field}[${name}]`
    return field ? `${field}.${name}` : name
  }, '')
}

function unescapePointer(segment: string): string {
  return segment.replaceAll('~1', '/').replaceAll('~0', '~')
}

function toKebab(field: string): string {
  return field.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`)
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) deepFreeze(item)
  return Object.freeze(value)
}
