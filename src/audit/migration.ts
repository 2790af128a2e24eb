// How far a namespace is on its way to ambient, and what is in its way: the steps of an audit, put together to those at which
// a person can stop, and what only the pods and istiod can tell.
import type { KubernetesObject, Namespace, Pod, Service } from '../apis/core.ts'
import type { VirtualService } from '../apis/istio.ts'
import { gatewayNameLabel } from '../translate/companion.ts'
import { translate } from '../translate/index.ts'
import { isSelected } from '../translate/labels.ts'
import type { MigrationStep, Outlook, Progress } from '../translate/migration.ts'
import { modeLabel } from '../translate/mode.ts'
import { isCaptured } from '../translate/namespace/cut-over.ts'
import { withField } from '../translate/original.ts'
import { hasSidecar, restartsOf } from '../translate/restarts.ts'
import type { Settings } from '../translate/settings.ts'
import { emptySnapshot, noCapabilities, putObject } from '../translate/snapshot.ts'
import { verdictOf } from '../translate/status/conditions.ts'
import { labelledWaypoint } from '../translate/waypoint.ts'
import { audit } from './index.ts'
import { namespaceIn } from './namespaces.ts'
import type { AuditFinding, NamespaceReport, Step, StepName } from './report.ts'

export interface Migration extends Outlook {
  /** What differs in ambient, and what is lost on the way. */
  warnings: string[]
  /** What sidestep writes, in the order in which it does. */
  writes: Step[]
}

/** Which steps of an audit are done when one of ours is. */
const parts: Partial<Record<MigrationStep, StepName[]>> = {
  prepare: ['gateway', 'waypoint', 'refusal'],
  enrol: ['companions', 'policies', 'admission', 'enrolment'],
  routes: ['routes', 'parking'],
}

/** Which of ours a step of an audit belongs to. */
export function migrationStepOf({ name }: Step): MigrationStep {
  const [step] = Object.entries(parts).find(([, names]) => names.includes(name)) ?? ['capture']
  return step as MigrationStep
}

/**
 * @param objects everything of the cluster
 */
export function migrationOf(namespace: string, objects: readonly KubernetesObject[], settings: Settings): Migration {
  const enforced = objects.map(object => (isNamespace(object, namespace) ? enforcing(object) : object))
  const { namespaces } = audit(
    enforced.map(object => ({ object })),
    {
      ...{ settings, profile: '', version: '', source: '', isLive: true },
      namespaces: [namespace, settings.rootNamespace],
    },
  )
  const its = namespaces.find(({ name }) => name === namespace)
  const stored = objects.find(object => isNamespace(object, namespace)) as Namespace | undefined
  const steps = its?.steps ?? []
  const pods = objects.filter(object => object.kind === 'Pod' && namespaceIn(object) === namespace) as Pod[]
  const restarts = restartsOf(pods.filter(hasSidecar), objects)
  const progress = (name: MigrationStep): Progress =>
    progressOf(
      steps
        .filter(step => parts[name]?.includes(step.name) && !step.isDone)
        .map(({ title, objects }) => `${title}: ${objects.join(', ')}`),
    )
  const findings = its?.findings ?? []
  return {
    namespace,
    steps: {
      prepare: progress('prepare'),
      capture: progressOf(stored && isCaptured(stored) ? [] : [`Namespace ${namespace} is not ambient yet`]),
      restart: progressOf(restarts.map(({ kind, name, pods }) => `${kind} ${name} has ${pods} pods with sidecars`)),
      enrol: progress('enrol'),
      routes: progress('routes'),
      verify: progressOf([...findings.filter(isStatus).map(lineOf), ...unboundIn(namespace, enforced)]),
    },
    restarts,
    denials: [
      ...findings.filter(({ severity }) => severity === 'denial').map(lineOf),
      ...refusedForAll(namespaces, namespace, settings),
    ],
    warnings: [
      ...findings.filter(({ severity, code }) => severity === 'warning' && !code.startsWith('ST-')).map(lineOf),
      ...cutOffIn(namespace, steps, objects, settings),
    ],
    writes: steps,
    pending: () => pendingIn(namespace, enforced, settings),
  }
}

function progressOf(left: string[]): Progress {
  return { isDone: left.length === 0, left }
}

function isNamespace({ kind, metadata }: KubernetesObject, name: string): boolean {
  return kind === 'Namespace' && metadata.name === name
}

function enforcing<K extends KubernetesObject>(object: K): K {
  return withField(object, ['metadata', 'labels', modeLabel], 'enforce')
}

function isStatus({ code }: AuditFinding): boolean {
  return code.startsWith('ST-')
}

/** `CODE Kind namespace/name field: message`. */
function lineOf({ code, kind, namespace, name, field, message }: AuditFinding): string {
  return `${code} ${kind} ${namespace ? `${namespace}/` : ''}${name} ${field}: ${message}`
}

/** A policy of the mesh that is refused is in place nowhere, and every waypoint waits for it. */
function refusedForAll(reports: NamespaceReport[], namespace: string, { rootNamespace }: Settings): string[] {
  if (namespace === rootNamespace) return []
  const root = reports.find(({ name }) => name === rootNamespace)
  const kinds = ['AuthorizationPolicy', 'RequestAuthentication']
  const refused = (root?.findings ?? []).filter(({ severity, kind }) => severity === 'denial' && kinds.includes(kind))
  return refused.map(lineOf)
}

/** The Services that a waypoint serves by label, of which istiod has said nothing. */
function unboundIn(namespace: string, objects: readonly KubernetesObject[]): string[] {
  const labels = objects.find(object => isNamespace(object, namespace))?.metadata.labels
  const services = objects.filter(
    object => object.kind === 'Service' && object.apiVersion === 'v1' && namespaceIn(object) === namespace,
  ) as Service[]
  return services
    .filter(({ metadata, spec }) => {
      const waypoint = labelledWaypoint(metadata.labels, namespace) ?? labelledWaypoint(labels, namespace)
      const isCalled = spec?.type !== 'ExternalName' && spec?.clusterIP !== 'None'
      return waypoint && isCalled && metadata.labels?.[gatewayNameLabel] === undefined
    })
    .filter(service => !verdictOf(service, 'istio.io/WaypointBound', 'WaypointAccepted'))
    .map(({ metadata }) => `istiod has not said yet that Service ${metadata.name} is bound to its waypoint`)
}

/** The old gateway reads no VirtualService that is parked, whoever still sends requests to it. */
function cutOffIn(
  namespace: string,
  steps: Step[],
  objects: readonly KubernetesObject[],
  { gateways }: Settings,
): string[] {
  const parking = steps.find(({ name, isDone }) => name === 'parking' && !isDone)
  if (!parking) return []
  const parked = objects.filter(
    ({ kind, metadata }) =>
      kind === 'VirtualService' && parking.objects.includes(`${kind}/${namespace}/${metadata.name}`),
  ) as VirtualService[]
  return gateways.flatMap(({ istioGateways, pods, gateway }) => {
    const isServing = objects.some(
      ({ kind, metadata }) =>
        kind === 'Pod' &&
        metadata.namespace === pods.namespace &&
        metadata.labels?.[gatewayNameLabel] === undefined &&
        isSelected(metadata.labels ?? {}, pods.labels),
    )
    const keys = (names: string[] = []) => names.map(name => (name.includes('/') ? name : `${namespace}/${name}`))
    const lost = parked.filter(({ spec }) => keys(spec?.gateways).some(key => istioGateways.includes(key)))
    if (!isServing || lost.length === 0) return []
    const names = lost.map(({ metadata }) => metadata.name).join(', ')
    return [
      `the old gateway in ${pods.namespace} still runs, and stops routing to VirtualService ${names} as soon as that is parked: send its clients to Gateway ${gateway} before, or set virtualServices: keep`,
    ]
  })
}

/** What sidestep would warn of now: what each object of the namespace waits for, and what is refused meanwhile. */
function pendingIn(namespace: string, objects: readonly KubernetesObject[], settings: Settings): string[] {
  const now = { ...emptySnapshot('observed'), capabilities: noCapabilities }
  for (const object of objects) putObject(now, object)
  const lines = objects
    .filter(object => namespaceIn(object) === namespace)
    .flatMap(object => {
      const { warnings, denial } = translate(object, now, settings)
      return [...(denial?.reasons ?? []), ...warnings]
        .filter(({ code, severity }) => severity === 'denial' || /-PENDING$|^NS-SIDECARS-RUNNING$/.test(code))
        .map(({ code, message }) => `${code} ${object.kind} ${object.metadata.name}: ${message}`)
    })
  return [...new Set(lines)]
}
