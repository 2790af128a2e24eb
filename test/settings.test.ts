import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { loadSettings, SettingsError, type SettingsFile } from '../src/settings.ts'
import { profiles } from '../src/translate/profiles.ts'

function write(t: Test, text: string): string {
  const file = join(t.testdir(), 'settings.yaml')
  writeFileSync(file, text)
  return file
}

/** The problems of a settings file, with `settings.yaml` for its path. */
function problemsOf(t: Test, text: string): string[] {
  const file = write(t, text)
  try {
    loadSettings({ file, env: {} })
  } catch (error) {
    if (!(error instanceof SettingsError)) throw error
    t.equal(error.code, 'SETTINGS_INVALID')
    t.equal(error.message, error.problems.join('\n'))
    return error.problems.map(problem => problem.replaceAll(file, 'settings.yaml'))
  }
  return []
}

t.test('without anything the settings are those of the profile kubeflow', async t => {
  t.strictSame(loadSettings({ env: {} }), profiles.kubeflow)
})

t.test('an empty file changes nothing', async t => {
  t.strictSame(loadSettings({ file: write(t, '# nothing yet\n'), env: {} }), profiles.kubeflow)
})

t.test('settings are frozen to the ground, and the profiles are not', async t => {
  const settings = loadSettings({ env: {} })
  t.ok(Object.isFrozen(settings))
  t.ok(Object.isFrozen(settings.gateways[0]?.pods.labels))
  t.notOk(Object.isFrozen(profiles.kubeflow.gateways))
})

t.test('a field of the file replaces the field of the profile as a whole', async t => {
  const file = write(t, 'namespaces:\n- names: [a]\n  dataplaneMode: ambient\nrevision: ""\n')
  const settings = loadSettings({ file, env: {} })
  t.strictSame(settings.namespaces, [{ names: ['a'], dataplaneMode: 'ambient' }])
  t.equal(settings.revision, '')
  t.strictSame(settings.gateways, profiles.kubeflow.gateways)
  t.notOk('profile' in settings)
})

t.test('severities and pathPrefixes are added to those of the profile', async t => {
  const file = write(t, 'severities: {VS-*: denial, VS-FIELD-UNKNOWN: note}\npathPrefixes: {/a: [/a, /ab]}\n')
  const settings = loadSettings({ file, env: {} })
  t.strictSame(settings.pathPrefixes, { ...profiles.kubeflow.pathPrefixes, '/a': ['/a', '/ab'] })
  t.strictSame(settings.severities, { 'VS-*': 'denial', 'VS-FIELD-UNKNOWN': 'note' })
})

t.test('the environment stands over the file, and flags over the environment', async t => {
  const file = write(t, 'profile: kubeflow\nmode: enforce\nrevision: one\ntrustDomain: file.local\n')
  const env = {
    SIDESTEP_SETTINGS: file,
    SIDESTEP_PROFILE: 'generic',
    SIDESTEP_REVISION: 'two',
    SIDESTEP_MODE: 'observe',
  }
  const settings = loadSettings({ env, flags: { revision: 'three', mode: undefined } })
  t.match(settings, { mode: 'observe', revision: 'three', trustDomain: 'file.local', gateways: [] })
})

t.test('a file that is named stands before SIDESTEP_SETTINGS', async t => {
  const file = write(t, 'revision: one\n')
  t.equal(loadSettings({ file, env: { SIDESTEP_SETTINGS: 'none' } }).revision, 'one')
})

t.test('variables that Kubernetes makes for a Service called sidestep are not read', async t => {
  const env = { SIDESTEP_PORT: 'tcp://10.0.0.1:443', SIDESTEP_SERVICE_HOST: '10.0.0.1' }
  t.strictSame(loadSettings({ env }), profiles.kubeflow)
})

t.test('problems of environment and flags name where they come from, all at once', async t => {
  t.throws(() => loadSettings({ env: { SIDESTEP_MODE: 'on' }, flags: { rootNamespace: 'A_B', profile: 'x' } }), {
    code: 'SETTINGS_INVALID',
    problems: [
      'flag --profile: profile: must be kubeflow or generic or deploykf, not "x"',
      'environment SIDESTEP_MODE: mode: must be observe or enforce, not "on"',
      'flag --root-namespace: rootNamespace: must be a Kubernetes name, such as istio-system, not "A_B"',
    ],
  })
})

t.test('a file that cannot be read is named', async t => {
  t.throws(() => loadSettings({ file: join(t.testdir(), 'none.yaml'), env: {} }), {
    code: 'SETTINGS_INVALID',
    message: /none\.yaml: cannot be read: ENOENT/,
  })
})

t.test('each problem of a file is one line with its place, what is wrong, and what to do', async t => {
  const problems = (text: string, expected: string[]) => t.strictSame(problemsOf(t, text), expected)
  problems('profile: openshift\n', [
    'settings.yaml:1:1: profile: must be kubeflow or generic or deploykf, not "openshift"',
  ])
  problems('mode: observe\n\nmodus: enforce\n', [
    'settings.yaml:3:1: modus: is no field here; use one of profile, mode, rootNamespace, trustDomain, ' +
      'trustDomainAliases, clusterDomain, revision, virtualServices, subsets, referenceGrants, ruleOrder, grpcRoutes, gateways, namespaces, pathPrefixes, severities',
  ])
  problems('revision: 1\ngateways:\n', [
    'settings.yaml:1:1: revision: must be of type string, not number; write "1" in quotes',
    'settings.yaml:2:1: gateways: must be of type array, not empty',
  ])
  problems('- a\n', ['settings.yaml:1:1: settings: must be of type object, not array'])
  problems('mode: observe\nrevision: a\nmode: enforce\n', ['settings.yaml:3:1: mode: is given twice; keep one of them'])
  t.match(problemsOf(t, 'a: [\n'), [/^settings\.yaml:2:1: YAML: /])
  t.match(problemsOf(t, 'mode: !!js/function observe\n'), [/^settings\.yaml:1:7: YAML: Unresolved tag/])
})

t.test('a namespaces rule has names or matchLabels, one of the two', async t => {
  t.strictSame(
    problemsOf(
      t,
      'namespaces:\n- dataplaneMode: ambient\n- names: [a]\n  matchLabels: {a: b}\n  dataplaneMode: ambient\n',
    ),
    [
      'settings.yaml:2:3: namespaces[0]: needs names or matchLabels',
      'settings.yaml:3:3: namespaces[1]: needs only one of names or matchLabels',
    ],
  )
})

t.test('names and keys are checked where they stand', async t => {
  const text = [
    'gateways:',
    '- istioGateways: [kubeflow-gateway]',
    '  gateway: istio-system/gw#https#http',
    '  pods: {namespace: istio-system, labels: {}}',
    '  serviceAccounts: {old: [a/b]}',
    'namespaces:',
    '- names: []',
    '  dataplaneMode: ambient',
    '  waypoint: {name: w, create: true, services: some, ingressUseWaypoint: true, directCallers: [{}, {ports: [8443]}]}',
    'pathPrefixes:',
    '  /a: [b]',
  ].join('\n')
  t.strictSame(problemsOf(t, text), [
    'settings.yaml:2:19: gateways[0].istioGateways[0]: must be a namespace/name, such as istio-system/istio-ingressgateway, not "kubeflow-gateway"',
    'settings.yaml:3:3: gateways[0].gateway: must be a namespace/name, with #sectionName or without, such as istio-system/ingress, not "istio-system/gw#https#http"',
    'settings.yaml:4:35: gateways[0].pods.labels: must not be empty; fill it in or leave it out',
    'settings.yaml:5:3: gateways[0].serviceAccounts.new: is missing and has no default; add it',
    'settings.yaml:7:3: namespaces[0].names: must not be empty; fill it in or leave it out',
    'settings.yaml:9:37: namespaces[0].waypoint.services: must be all, or a list of Service names, such as all, not "some"',
    'settings.yaml:9:95: namespaces[0].waypoint.directCallers[0]: needs principals or namespaces or ports',
    'settings.yaml:9:108: namespaces[0].waypoint.directCallers[1].ports[0]: must be of type string, not number; write "8443" in quotes',
    'settings.yaml:11:8: pathPrefixes[/a][0]: must be a path that starts with a slash, such as /pipeline, not "b"',
  ])
})

t.test('severities name codes that exist, and patterns that can do something', async t => {
  const text = [
    'severities:',
    '  VS-NONSENSE: note',
    '  VS-*-X: denial',
    '  XX-*: denial',
    '  AP-*: note',
    '  RA-*: fatal',
  ].join('\n')
  t.strictSame(problemsOf(t, text), [
    'settings.yaml:2:3: severities[VS-NONSENSE]: is no diagnostic code; docs/diagnostics lists them',
    'settings.yaml:3:3: severities[VS-*-X]: must have its * at the end, such as VS-*',
    'settings.yaml:4:3: severities[XX-*]: matches no diagnostic code; docs/diagnostics lists them',
    'settings.yaml:5:3: severities[AP-*]: can only raise, so note does nothing; name the exact codes to lower',
    'settings.yaml:6:3: severities[RA-*]: must be denial or warning or note, not "fatal"',
  ])
})

t.test('a key named as a property of every object is an unknown field, not a field of the prototype', async t => {
  t.match(problemsOf(t, '__proto__: {mode: observe}\n'), [/__proto__\]?: is no field here/])
  t.match(problemsOf(t, 'constructor: 1\n'), [/constructor: is no field here/])
})

// The type and the schema say the same: the compiler asks for every field here, and the schema for every property.
type Full<T> = T extends (infer Item)[] ? Full<Item>[] : T extends object ? { [K in keyof T]-?: Full<T[K]> } : T

const populated: Full<SettingsFile> = {
  profile: 'generic',
  mode: 'observe',
  rootNamespace: 'istio-system',
  trustDomain: 'cluster.local',
  trustDomainAliases: [],
  clusterDomain: 'cluster.local',
  revision: 'default',
  virtualServices: 'keep',
  subsets: 'services',
  referenceGrants: 'create',
  ruleOrder: 'regex',
  grpcRoutes: true,
  gateways: [
    {
      istioGateways: ['a/b'],
      gateway: 'a/c#https',
      pods: { namespace: 'a', labels: { app: 'x' } },
      serviceAccounts: { old: ['a/d'], new: ['a/e'] },
      create: false,
      gatewayClassName: 'istio',
      labels: { app: 'x' },
      addresses: ['a.b'],
    },
  ],
  namespaces: [
    {
      names: ['a'],
      matchLabels: { a: 'b' },
      dataplaneMode: 'ambient',
      waypoint: {
        name: 'w',
        namespace: 'n',
        create: true,
        services: ['s'],
        ingressUseWaypoint: true,
        directCallers: [{ principals: ['p'], namespaces: ['n'], ports: ['80'] }],
      },
    },
  ],
  pathPrefixes: { '/a': ['/a'] },
  severities: { 'VS-*': 'denial' },
}

t.test('the schema and the type have the same fields', async t => {
  const schema = JSON.parse(readFileSync(new URL('../deploy/settings.schema.json', import.meta.url), 'utf8'))
  compare(t, 'settings', schema, populated)

  function compare(t: Test, field: string, schemaHere: Record<string, unknown>, value: unknown): void {
    const { $ref, ...own } = schemaHere
    const shape: Record<string, unknown> =
      typeof $ref === 'string' ? { ...schema.$defs[$ref.slice('#/$defs/'.length)], ...own } : own
    if (Array.isArray(value)) compare(t, `${field}[]`, shape.items as Record<string, unknown>, value[0])
    if (!shape.properties) return
    const properties = shape.properties as Record<string, Record<string, unknown>>
    t.equal(shape.additionalProperties, false, `${field} takes nothing else`)
    t.strictSame(Object.keys(properties).sort(), Object.keys(value as object).sort(), field)
    for (const [name, property] of Object.entries(properties)) {
      t.type(property.description, 'string', `${field}.${name} is described`)
      compare(t, `${field}.${name}`, property, (value as Record<string, unknown>)[name])
    }
  }
})

t.test('every value of the populated settings is accepted, and so are the profiles', async t => {
  const [rule] = populated.namespaces
  const { names, ...byLabels } = rule ?? {}
  const { matchLabels, ...byName } = rule ?? {}
  for (const settings of [{ ...populated, namespaces: [byLabels, byName] }, ...Object.values(profiles)])
    t.strictSame(problemsOf(t, JSON.stringify(settings)), [])
})

t.test('a Gateway that sidestep creates is named as a whole, and by one mapping only', async t => {
  const mapping = (gateway: string, create: boolean) =>
    `- {istioGateways: [a/b], gateway: ${gateway}, create: ${create}, ` +
    'pods: {namespace: a, labels: {a: b}}, serviceAccounts: {old: [], new: []}}\n'
  const text = `gateways:\n${mapping('a/c#https', true)}${mapping('a/d', true)}${mapping('a/e#x', false)}${mapping('a/d', true)}`
  t.strictSame(problemsOf(t, text), [
    'settings.yaml:2:26: gateways[0].gateway: must be a namespace/name without #sectionName where create is true, such as ' +
      'istio-system/ingress, not "a/c#https"',
    'settings.yaml:5:26: gateways[3].gateway: is created by gateways[1] already; list all istioGateways there',
  ])
})

t.test('the schema knows the profiles that there are', async t => {
  const schema = JSON.parse(readFileSync(new URL('../deploy/settings.schema.json', import.meta.url), 'utf8'))
  t.strictSame(schema.properties.profile.enum, Object.keys(profiles))
})

t.test('docs/settings.md has a row for each field of the schema', async t => {
  const schema = JSON.parse(readFileSync(new URL('../deploy/settings.schema.json', import.meta.url), 'utf8'))
  const page = readFileSync(new URL('../docs/settings.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `([^`]+)` \|/gm)].map(([, field]) => field ?? '')
  t.strictSame(rows.toSorted(), fieldsOf(schema, '').toSorted())

  function fieldsOf({ $ref, ...own }: Record<string, unknown>, path: string): string[] {
    const here = typeof $ref === 'string' ? { ...schema.$defs[$ref.slice('#/$defs/'.length)], ...own } : own
    if (here.items) return fieldsOf(here.items, `${path}[]`)
    if (here.additionalProperties) return [`${path}[name]`]
    const fields = Object.entries<Record<string, unknown>>(here.properties ?? {}).flatMap(([name, property]) =>
      fieldsOf(property, path ? `${path}.${name}` : name),
    )
    return path ? [path, ...fields] : fields
  }
})
