// `sidestep explain-policy NAME`: finds the policy in files or in the cluster, and prints where it is on its way.
import { loadSettings } from '../settings.ts'
import { explainPolicy } from '../translate/explain-policy/index.ts'
import type { Policy } from '../translate/policy/targets.ts'
import { type ByNamespace, type ClusterSnapshot, inNamespace, namespaceOf, snapshotOf } from '../translate/snapshot.ts'
import { type ExitCode, type Io, isColoured } from './io.ts'
import { nearestTo } from './nearest.ts'
import { describe } from './objects.ts'
import { inert, problemLine } from './print.ts'
import { toText } from './print-policy.ts'
import { read } from './read.ts'

export interface ExplainPolicyFlags {
  namespace?: string
  filename?: string[]
  snapshot?: string
  kubeconfig?: string
  context?: string
  settings?: string
  profile?: string
  output: 'text' | 'json'
  asIs?: true
}

export async function runExplainPolicy(name: string, flags: ExplainPolicyFlags, io: Io): Promise<ExitCode> {
  const settings = loadSettings({ file: flags.settings, env: io.env, flags: { profile: flags.profile } })
  const wanted = wantedOf(name, flags.namespace)
  if (!wanted) {
    io.stderr.write(`error: ${inert(name)} is no name of a policy; write ap/NAME, ra/NAME or NAMESPACE/NAME\n`)
    return 2
  }
  const cluster = await clusterOf(flags, io)
  if (!cluster) return 2
  const found = find(wanted, cluster)
  if (!('policy' in found)) {
    io.stderr.write(`error: ${inert(found.message)}\n`)
    return 2
  }
  if (found.note) io.stderr.write(`note: ${inert(found.note)}\n`)
  const explanation = explainPolicy(found.policy, cluster, settings)
  io.stdout.write(
    flags.output === 'json'
      ? `${JSON.stringify(explanation, undefined, 2)}\n`
      : toText(explanation, isColoured(io.stdout, io.env)),
  )
  return explanation.outcome === 'denied' ? 1 : 0
}

/** Files are read as `convert` reads them; without any, the cluster is asked. */
async function clusterOf(flags: ExplainPolicyFlags, io: Io): Promise<ClusterSnapshot | undefined> {
  const { filename = [], snapshot } = flags
  if (filename.length === 0 && snapshot === undefined) {
    const [{ connect }, { policyResources, readOnce }] = await Promise.all([
      import('../reconciler/api-server.ts'),
      import('../reconciler/read.ts'),
    ])
    return readOnce(connect(flags.kubeconfig, flags.context), policyResources)
  }
  const inputs = await read(filename, io.stdin)
  const others = snapshot === undefined ? { inputs: [], problems: [] } : await read([snapshot], io.stdin)
  const problems = [...inputs.problems, ...others.problems]
  io.stderr.write(problems.map(problem => problemLine(problem, isColoured(io.stderr, io.env))).join(''))
  if (problems.length > 0) return undefined
  const objects = [...others.inputs, ...inputs.inputs].map(({ object }) => object)
  return snapshotOf(objects, flags.asIs ? 'observed' : 'assumed')
}

// Names ------------------------------------------------------------------------------------------------------------

interface Wanted {
  kind: Policy['kind'] | undefined
  namespace: string | undefined
  name: string
}

const kinds: Record<string, Policy['kind']> = {
  ap: 'AuthorizationPolicy',
  authorizationpolicy: 'AuthorizationPolicy',
  authorizationpolicies: 'AuthorizationPolicy',
  ra: 'RequestAuthentication',
  requestauthentication: 'RequestAuthentication',
  requestauthentications: 'RequestAuthentication',
}

/** `NAME`, `ap/NAME`, `NAMESPACE/NAME` or `AuthorizationPolicy/NAMESPACE/NAME`, as output and annotations have it. */
function wantedOf(text: string, namespace: string | undefined): Wanted | undefined {
  const parts = text.split('/')
  const kind = parts.length > 1 ? kinds[parts[0]?.toLowerCase() ?? ''] : undefined
  const [name = '', own = namespace, ...more] = parts.slice(kind ? 1 : 0).reverse()
  if (!name || own === '' || more.length > 0 || (namespace !== undefined && own !== namespace)) return undefined
  return { kind, namespace: own, name }
}

type Found = { policy: Policy; note?: string } | { message: string }

/** The policy that is meant: an AuthorizationPolicy, unless only a RequestAuthentication has the name. */
function find({ kind, namespace, name }: Wanted, cluster: ClusterSnapshot): Found {
  const all = [...policiesIn(cluster.authorizationPolicies), ...policiesIn(cluster.requestAuthentications)].filter(
    policy => kind === undefined || policy.kind === kind,
  )
  const named = all.filter(
    policy => policy.metadata.name === name && (namespace === undefined || namespaceOf(policy) === namespace),
  )
  const [first] = named
  if (!first) return { message: notFound({ kind, namespace, name }, all) }
  const [others, alike] = [
    named.filter(each => each.kind !== first.kind),
    named.filter(each => each.kind === first.kind),
  ]
  if (alike.length > 1) {
    const places = alike.map(namespaceOf).join(', ')
    return { message: `${first.kind} ${name} is in several namespaces; choose one with -n: ${places}` }
  }
  const [other] = others
  return { policy: first, ...(other ? { note: `${describe(other)} has the same name: ra/${name} explains it` } : {}) }
}

function notFound({ kind, namespace, name }: Wanted, all: Policy[]): string {
  const where = namespace === undefined ? '' : ` in namespace ${namespace}`
  const byName = new Map<string, Policy[]>()
  for (const policy of all) {
    const its = policy.metadata.name ?? ''
    byName.set(its, [...(byName.get(its) ?? []), policy])
  }
  const nearest = nearestTo(name, byName.keys()).flatMap(near => byName.get(near) ?? [])
  const names = nearest.slice(0, 5).map(policy => {
    const key = `${namespaceOf(policy)}/${policy.metadata.name}`
    return policy.kind === 'RequestAuthentication' ? `ra/${key}` : key
  })
  return `there is no ${kind ?? 'policy'} ${name}${where}; ${names.length > 0 ? `the nearest are ${names.join(', ')}` : 'there is none at all'}`
}

function policiesIn<P extends Policy>(policies: ByNamespace<P>): P[] {
  return [...policies.keys()].sort().flatMap(namespace => inNamespace(policies, namespace))
}
