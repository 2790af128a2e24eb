// What an audit says, as data: every output, from the table on a terminal to the HTML report, is a view of this.
import type { DiagnosticCode, Severity } from '../translate/diagnostics.ts'

/** `blocked`: something is denied. `warnings`: it works, and somebody should read what differs. */
export type Verdict = 'ready' | 'warnings' | 'blocked'

export interface AuditReport {
  /** The version of sidestep. */
  version: string
  /** What was read: the paths of files, or the context of a kubeconfig. */
  source: string
  /** The profile of the settings. */
  profile: string
  /** What a cluster would not let be read, so that the report knows less than there is. Absent when all of it was read. */
  unread?: Unread[]
  /** What the verdicts of single namespaces do not show, each in a sentence. Absent when there is nothing to remark. */
  remarks?: string[]
  verdict: Verdict
  /** How many objects were read, and how many of all namespaces together are rewritten, kept beside, or found at fault. */
  objects: number
  counts: Counts
  /** By name; first what belongs to no namespace, whose name is ''. */
  namespaces: NamespaceReport[]
  /** Where requests for each host went and go. */
  hosts: HostReport[]
}

/** The page of a code, docs/diagnostics/CODE.md; undefined where it is not installed. */
export type PageOf = (code: string) => string | undefined

/** A kind of which nothing is known, though there may be objects of it. */
export interface Unread {
  /** `envoyfilters.networking.istio.io`, as RBAC has it. */
  resource: string
  /** Such as `you may not list it`. */
  reason: string
}

export interface Counts extends Record<Severity, number> {
  rewritten: number
  companions: number
}

export interface NamespaceReport {
  name: string
  verdict: Verdict
  /** Who carries its traffic today, and who will. `mixed`: some pods have a sidecar and some do not. */
  dataplane: { now: Dataplane; then: Dataplane }
  /** The waypoint that serves it in the end, `namespace/name`. */
  waypoint?: string
  objects: number
  counts: Counts
  /** By severity, then by object and field. */
  findings: AuditFinding[]
  changes: Change[]
  /** What happens to it, in order: waypoint, guards, capture, policies, enrolment, routes (docs/policies.md, "The order"). */
  steps: Step[]
}

export type Dataplane = 'sidecar' | 'ambient' | 'mixed' | 'none'

export interface AuditFinding {
  code: DiagnosticCode
  severity: Severity
  apiVersion: string
  kind: string
  namespace: string
  name: string
  field: string
  /** What, what happens in ambient, and the way out, in one sentence. */
  message: string
  /** Where it stands; not when it came from a cluster. */
  file?: string
  line?: number
}

/** One object that is not what it was, or that is new. */
export interface Change {
  role: 'rewritten' | 'companion'
  apiVersion: string
  kind: string
  namespace: string
  name: string
  /** YAML without status and managedFields; absent where there was nothing. */
  before?: string
  after: string
}

export interface Step {
  /** Which one it is, whatever its title says. */
  name: StepName
  /** What is done, in a few words. */
  title: string
  /** Why it comes here, and what it waits for. */
  reason: string
  /** `Kind/namespace/name` of what it writes. */
  objects: string[]
  isDone: boolean
}

export type StepName =
  | 'gateway'
  | 'waypoint'
  | 'refusal'
  | 'capture'
  | 'companions'
  | 'policies'
  | 'admission'
  | 'enrolment'
  | 'routes'
  | 'parking'

export interface HostReport {
  host: string
  before: RouteReport[]
  after: RouteReport[]
}

/** One rule in the order in which it is asked. */
export interface RouteReport {
  /** `Kind/namespace/name` of the object that holds the rule. */
  object: string
  /** Such as `GET /jupyter/ (prefix)`. */
  match: string
  /** Such as `jupyter-web-app.kubeflow:80`, or what it answers itself. */
  to: string
}
