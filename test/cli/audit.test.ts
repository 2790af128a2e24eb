// `sidestep audit` on files: what goes in, what comes out, and the exit code. test/e2e/audit.test.ts has the cluster.
import { join } from 'node:path'
import t from 'tap'
import { stringify } from 'yaml'
import { denied, entry, istioGateway, namespace, pod, virtualService } from '../audit/world.ts'
import { type Surroundings, sidestep } from './memory.ts'

const yaml = (...objects: object[]) => objects.map(object => stringify(object)).join('---\n')
const auditText = (stdin: string, args: string[] = [], surroundings: Surroundings = {}) =>
  sidestep(['audit', '-f', '-', ...args], { stdin, ...surroundings })
const warned = virtualService('lab', [entry('/lab/')])
const world = yaml(istioGateway, namespace(), denied, warned)

t.test('says per namespace what is in the way, worst first, and at the end what to do', async t => {
  const { code, stdout, stderr } = await auditText(world)
  t.equal(
    stdout,
    `BLOCKED  team-a
  sidecar to ambient, 3 objects, 2 rewritten, 2 companions
  denial   VS-FAULT: HTTPRoute injects no faults, requests would pass unharmed; remove fault or inject it in the app
            VirtualService team-a/faulty spec.http[0].fault (stdin:44)
  warning  VS-MATCH-PREFIX-SLASH: PathPrefix ignores the last slash, so /lab now matches too; nothing to do unless it
           was served elsewhere
            VirtualService team-a/lab spec.http[0].match[0].uri (stdin:60)

stdin with profile kubeflow: 4 objects, 2 to be rewritten, 2 companions to be kept beside them, 1 denial, 1 warning, 1
note (--verbose shows them)
1 namespace is ready: kubeflow
1 namespace is blocked: team-a
But: Gateway istio-system/ambient-ingressgateway, which is to take the routes, is not in what was read; make it, or set
     create: true for it.

First: mend VS-FAULT, 1 denial in team-a (sidestep explain VS-FAULT says how).
`,
  )
  t.equal(stderr, '')
  t.equal(code, 1)
})

t.test('the exit code is what --fail-on asks for', async t => {
  const codeOf = async (text: string, ...args: string[]) => (await auditText(text, args)).code
  const mild = yaml(istioGateway, namespace(), warned)
  t.equal(await codeOf(mild), 0)
  t.equal(await codeOf(mild, '--fail-on', 'warning'), 1)
  t.equal(await codeOf(world, '--fail-on', 'never'), 0)
  t.equal(await codeOf(yaml(namespace({})), '--fail-on', 'warning'), 0)
})

t.test('nothing is not ready: the command before the pipe failed', async t => {
  for (const text of ['', '# nothing\n', '---\n'])
    t.strictSame(await auditText(text, ['--fail-on', 'never']), {
      code: 2,
      stdout: '',
      stderr: 'error: there is no object in stdin; check what wrote it\n',
    })
})

t.test(
  '-n tells of what the root namespace forbids there too, and not of what is for an ingress or a stranger',
  async t => {
    const sidecar = (spec: object) => ({
      apiVersion: 'networking.istio.io/v1',
      kind: 'Sidecar',
      metadata: { name: 'default', namespace: 'istio-system' },
      spec,
    })
    const patch = (workloadSelector: object) => ({
      apiVersion: 'networking.istio.io/v1alpha3',
      kind: 'EnvoyFilter',
      metadata: { name: 'patch', namespace: 'istio-system' },
      spec: { ...workloadSelector, configPatches: [{ applyTo: 'CLUSTER' }] },
    })
    const teams = [namespace(), { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'outside' } }]
    const codeOf = async (object: object, name: string) => (await auditText(yaml(...teams, object), ['-n', name])).code
    const registry = sidecar({ outboundTrafficPolicy: { mode: 'REGISTRY_ONLY' } })
    t.equal(await codeOf(registry, 'team-a'), 1)
    t.equal(await codeOf(registry, 'outside'), 0, 'which stays out of the mesh')
    t.equal(await codeOf(patch({}), 'team-a'), 1)
    const { stdout } = await auditText(yaml(...teams, patch({})), ['-n', 'team-a'])
    t.match(stdout, 'First: mend EF-SIDECAR, 1 denial in istio-system')
    const ofIngress = patch({ workloadSelector: { labels: { istio: 'ingressgateway' } } })
    t.notMatch((await auditText(yaml(...teams, ofIngress), ['-n', 'team-a'])).stdout, 'EF-')
  },
)

t.test('folds what is alike: findings of one code, and namespaces that say the same', async t => {
  const teams = [1, 2, 3, 4, 5, 6, 7].flatMap(i => [
    namespace({}, `team-${i}`),
    ...['a', 'b'].map(name => ({
      ...virtualService(name, [entry(`/${i}${name}/`)]),
      metadata: { name, namespace: `team-${i}` },
    })),
  ])
  const { stdout } = await auditText(yaml(istioGateway, ...teams))
  t.match(
    stdout,
    'WARNINGS  7 namespaces alike: team-1, team-2, team-3, team-4 and 3 more\n  none to ambient, 21 objects',
  )
  t.equal(stdout.match(/VS-MATCH-PREFIX-SLASH:/g)?.length, 1)
  t.match(stdout, '(13 others in other words, which --verbose shows)')
  t.match(stdout, '            and 10 more\n')
  t.match(stdout, 'First: read VS-MATCH-PREFIX-SLASH, 14 warnings in team-1, team-2, team-3 and 4 more')
  const verbose = await auditText(yaml(istioGateway, ...teams), ['--verbose'])
  t.equal(verbose.stdout.match(/VS-MATCH-PREFIX-SLASH:/g)?.length, 14, 'each in its own words')
  t.notMatch(verbose.stdout, 'in other words')
})

t.test('notes, and namespaces about which there is nothing to say, are shown with --verbose', async t => {
  const text = yaml(namespace(), namespace({}, 'team-b'))
  const quiet = await auditText(text)
  t.notMatch(quiet.stdout, 'NS-INJECTION-REMOVED')
  t.match(quiet.stdout, '2 namespaces are ready: team-a and team-b\n\nFirst: nothing stands in the way.')
  const { stdout } = await auditText(text, ['--verbose'])
  t.match(stdout, /note {5}NS-INJECTION-REMOVED/)
  t.match(stdout, 'READY  team-b\n  none to ambient')
})

t.test('-n tells of one namespace, and says when there is none of that name', async t => {
  const text = yaml(istioGateway, namespace(), denied, namespace({}, 'team-b'))
  const { code, stdout } = await auditText(text, ['-n', 'team-b', '-o', 'json'])
  t.equal(code, 0)
  t.strictSame(
    JSON.parse(stdout).namespaces.map(({ name }: { name: string }) => name),
    ['team-b'],
  )
  t.strictSame(await auditText(text, ['-n', 'team-x']), {
    code: 2,
    stdout: '',
    stderr: 'error: there is nothing in namespace team-x\n',
  })
})

t.test('-o json is the whole report, with places', async t => {
  const { stdout } = await auditText(world, ['-o', 'json'])
  const report = JSON.parse(stdout)
  t.match(report, { source: 'stdin', profile: 'kubeflow', verdict: 'blocked', objects: 4 })
  const [, team] = report.namespaces
  t.match(team.findings[0], { code: 'VS-FAULT', severity: 'denial', file: 'stdin', line: 44 })
  t.ok(team.changes.every(({ after }: { after: string }) => after.startsWith('apiVersion:')))
})

t.test('-o sarif and -o junit are for machines', async t => {
  t.equal(JSON.parse((await auditText(world, ['-o', 'sarif'])).stdout).version, '2.1.0')
  t.match((await auditText(world, ['-o', 'junit', '--fail-on', 'warning'])).stdout, / failures="2" /)
})

t.test('files, directories and settings are read as convert reads them, and what is broken is said', async t => {
  const directory = t.testdir({ 'a.yaml': yaml(istioGateway), 'b.yaml': 'a: [\n' })
  const broken = await sidestep(['audit', '-f', directory])
  t.match(broken, { code: 2, stdout: '', stderr: /b\.yaml:\d+:\d+: error: is no YAML/ })
  const good = await sidestep(['audit', '-f', join(directory, 'a.yaml'), '--profile', 'generic', '-o', 'json'])
  t.match(JSON.parse(good.stdout), { profile: 'generic', source: join(directory, 'a.yaml') })
  t.equal((await auditText('', ['--profile', 'none'])).code, 2)
})

t.test('a setting of the file that matches nothing is remarked', async t => {
  const directory = t.testdir({
    'settings.yaml': `profile: generic\nnamespaces: [{ names: [team-a, taem-b], dataplaneMode: ambient }]\n`,
  })
  const settings = ['--settings', join(directory, 'settings.yaml')]
  const text = yaml(namespace())
  const { stdout } = await auditText(text, settings)
  t.match(stdout, /^But: the setting namespaces\[0\]\.names names Namespace taem-b, which is not in what was read\.$/m)
  const { remarks } = JSON.parse((await auditText(text, [...settings, '-o', 'json'])).stdout)
  t.strictSame(remarks, ['the setting namespaces[0].names names Namespace taem-b, which is not in what was read'])
  t.notMatch((await auditText(text)).stdout, 'the setting', 'the profile matches nothing here either')
})

t.test('a file and a cluster are not read at once', async t => {
  t.match(await auditText('', ['--context', 'prod']), { code: 2, stderr: /cannot be used with option/ })
})

t.test('shows on a terminal how far it is, and takes that away again; into a pipe nothing', async t => {
  const { stderr } = await auditText(world, [], { isTTY: true })
  t.match(stderr, '\r\u001b[Kjudging 0 %\r\u001b[Kjudging 25 %')
  t.ok(stderr.endsWith('\r\u001b[K'))
})

t.test('lets no name in a file write to the terminal', async t => {
  const nasty = { ...denied, metadata: { ...denied.metadata, name: 'a\u001b[2J' } }
  const { stdout } = await auditText(yaml(istioGateway, namespace(), nasty))
  t.match(stdout, 'a\\u001b[2J')
  t.notMatch(stdout, '\u001b')
  const reordered = { ...denied, metadata: { ...denied.metadata, name: 'a\u202egpj\u2066\u200b\ufeff' } }
  t.match((await auditText(yaml(istioGateway, namespace(), reordered))).stdout, 'a\\u202egpj\\u2066\\u200b\\ufeff')
  const coloured = await auditText(world, [], { isTTY: true })
  t.match(coloured.stdout, '\u001b[31mBLOCKED\u001b[0m  team-a')
})

t.test('files with statuses tell of sidecars and of what istiod says', async t => {
  const { stdout } = await auditText(yaml(namespace(), pod('a', 'sidecar'), pod('b', 'plain')), ['--verbose'])
  t.match(stdout, 'mixed to ambient')
})
