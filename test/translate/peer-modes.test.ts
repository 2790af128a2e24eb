// Does ztunnel admit plaintext exactly where sidecars did? Every mode on every level and on two ports, through what
// istiod makes of a PeerAuthentication for either. The model follows istiod's authorization.go and policies.go line by line
// (pilot/pkg/serviceregistry/ambient), its losses included, and knows nothing of the translator.
import t from 'tap'
import type * as istio from '../../src/apis/istio.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'

type Policy = istio.PeerAuthentication | undefined
type Mode = NonNullable<istio.MutualTLS['mode']>

const modes: Mode[] = ['UNSET', 'DISABLE', 'PERMISSIVE', 'STRICT']
const ports = [80, 8443, 9000]

function peerAuthentication(namespace: string, name: string, spec: istio.PeerAuthenticationSpec) {
  const metadata = { name, namespace }
  return { apiVersion: 'security.istio.io/v1', kind: 'PeerAuthentication' as const, metadata, spec }
}

/** None, one without a mode, one of each mode; and each again with an empty selector, which istiod takes for one here and there. */
function parents(namespace: string): Policy[] {
  const specs: istio.PeerAuthenticationSpec[] = [{}, ...modes.map(mode => ({ mtls: { mode } }))]
  return [undefined, ...specs, ...specs.map(spec => ({ ...spec, selector: {} }))].map(
    spec => spec && peerAuthentication(namespace, 'default', spec),
  )
}

const workloads = [undefined, ...modes].flatMap(mode =>
  [undefined, ...modes].flatMap(first =>
    [undefined, ...modes].map(second => {
      const portLevelMtls = { ...(first && { 8443: { mode: first } }), ...(second && { 9000: { mode: second } }) }
      return peerAuthentication('kubeflow', 'api', {
        selector: { matchLabels: { app: 'api' } },
        ...(mode && { mtls: { mode } }),
        ...((first ?? second) && { portLevelMtls }),
      })
    }),
  ),
)

t.test('ztunnel admits plaintext on the ports where sidecars do, or the PeerAuthentication is refused', async t => {
  const count = { kept: 0, mended: 0, refused: 0 }
  for (const mesh of parents('istio-system')) {
    for (const namespace of parents('kubeflow')) {
      for (const written of workloads) {
        const cluster = snapshotOf([mesh, namespace, written].filter(policy => policy !== undefined))
        const { object: stored, denial } = translate(written, cluster, profiles.kubeflow)
        const before = ports.map(port => isOpenInSidecar(written, namespace, mesh, port))
        const unmended = ports.map(port => isOpenInZtunnel(written, namespace, mesh, port))
        const after = ports.map(port => isOpenInZtunnel(stored, namespace, mesh, port))
        const story = JSON.stringify({ mesh: mesh?.spec, namespace: namespace?.spec, written: written.spec })
        if (modeOf(written) === 'DISABLE') {
          if (!denial) t.fail(`DISABLE is admitted: ${story}`)
        } else if (denial) {
          count.refused++
          if (String(unmended) === String(before)) t.fail(`refused for nothing: ${story}`)
        } else {
          if (String(after) !== String(before)) t.fail(`${before} becomes ${after}: ${story}`)
          if (String(unmended) !== String(before)) count.mended++
          else count.kept++
        }
      }
    }
  }
  t.comment(count)
  t.ok(count.kept > 10_000 && count.mended > 100 && count.refused > 50, 'each of the three happens')
})

function modeOf(policy: Policy): Mode {
  return policy?.spec?.mtls?.mode ?? 'UNSET'
}

/** ComposePeerAuthentication. */
function isOpenInSidecar(workload: istio.PeerAuthentication, namespace: Policy, mesh: Policy, port: number): boolean {
  const ofPort = workload.spec?.portLevelMtls?.[port]?.mode
  const set = [ofPort, modeOf(workload), modeOf(namespace), modeOf(mesh)].find(mode => mode && mode !== 'UNSET')
  return set !== 'STRICT'
}

/** convertedSelectorPeerAuthentications: what the pod is told to obey, the static STRICT and the converted policy. */
function isOpenInZtunnel(workload: istio.PeerAuthentication, namespace: Policy, mesh: Policy, port: number): boolean {
  const mode = modeOf(workload)
  const ofPorts = Object.values(workload.spec?.portLevelMtls ?? {}).map(({ mode }) => mode)
  let isStrict = modeOf(mesh) === 'STRICT'
  if (modeOf(namespace) !== 'UNSET') isStrict = modeOf(namespace) === 'STRICT'
  if (mode !== 'UNSET') isStrict = mode === 'STRICT'
  let isConverted = false
  if (ofPorts.length > 0) {
    if (mode === 'STRICT') isConverted = ofPorts.includes('PERMISSIVE') || ofPorts.includes('DISABLE')
    else if (mode !== 'UNSET') isConverted = ofPorts.includes('STRICT')
    else isConverted = ofPorts.includes(isStrict ? 'PERMISSIVE' : 'STRICT')
    if (isConverted && (mode === 'STRICT' || mode === 'UNSET')) isStrict = false
  }
  if (isStrict) return false
  return !isConverted || !isDenied(workload, withoutSelector(namespace), withoutSelector(mesh), port)
}

/** The index of policies.go holds those whose selector is nil, and an empty one is not. */
function withoutSelector(policy: Policy): Policy {
  return policy?.spec?.selector === undefined ? policy : undefined
}

/** convertPeerAuthentication: whether one of its groups denies plaintext on the port. Rules of a group are ANDed. */
function isDenied(workload: istio.PeerAuthentication, namespace: Policy, mesh: Policy, port: number): boolean {
  const mode = modeOf(workload)
  const isParentStrict = namespace ? modeOf(namespace) === 'STRICT' : modeOf(mesh) === 'STRICT'
  const isCovered =
    mode === 'STRICT' ||
    (mode === 'UNSET' && modeOf(namespace) === 'STRICT') ||
    (modeOf(namespace) === 'UNSET' && modeOf(mesh) === 'STRICT')
  const rules: boolean[] = mode === 'STRICT' ? [true] : []
  const groups: boolean[][] = []
  let hasOpenPort = false
  for (const [number, { mode: ofPort }] of Object.entries(workload.spec?.portLevelMtls ?? {})) {
    if (ofPort === 'STRICT') {
      if (!isCovered) groups.push([Number(number) === port])
    } else if (ofPort === 'PERMISSIVE' || ofPort === 'DISABLE') {
      if (mode === 'PERMISSIVE' || mode === 'DISABLE' || (mode === 'UNSET' && !isParentStrict)) continue
      hasOpenPort = true
      rules.push(Number(number) !== port)
    }
  }
  if (mode === 'STRICT' && !hasOpenPort) return false
  const isMeshStrict = modeOf(mesh) === 'STRICT' && (modeOf(namespace) === 'UNSET' || modeOf(namespace) === 'STRICT')
  if (hasOpenPort && (isMeshStrict || modeOf(namespace) === 'STRICT')) rules.push(true)
  return [...groups, ...(rules.length > 0 ? [rules] : [])].some(group => group.every(Boolean))
}
