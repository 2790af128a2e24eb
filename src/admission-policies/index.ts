// Settings -> the part of sidestep that the API server can do by itself: MutatingAdmissionPolicy and
// ValidatingAdmissionPolicy, for clusters without a webhook or beside one that fails open. An expression sees the object, its
// Namespace and nothing else, so what depends on waypoints, routes or other policies stays the webhook's. Nothing is denied
// here that the webhook would let through (test/e2e/admission-policies.test.ts).
import type { KubernetesObject } from '../apis/core.ts'
import { attributeNames, attributePattern } from '../translate/authorization-policy/attributes.ts'
import { managedByLabel, revisionLabel, sourceAnnotation } from '../translate/companion.ts'
import { type DiagnosticCode, sentenceOf } from '../translate/diagnostics.ts'
import { modeLabel } from '../translate/mode.ts'
import { systemNamespaces } from '../translate/namespace/index.ts'
import { severityOf } from '../translate/report.ts'
import type { NamespaceRule, Settings } from '../translate/settings.ts'
import { virtualServiceFates } from '../translate/virtual-service/fates.ts'
import { dataplaneModeLabel } from '../translate/waypoint.ts'
import { and, hasLabels, label, literal, or } from './cel.ts'
import { fieldsIn } from './fields.ts'

const apiVersion = 'admissionregistration.k8s.io/v1'

/** What one ValidatingAdmissionPolicy is about. */
interface Kind {
  /** The plural, which is also the end of the policy's name. */
  resource: string
  group: string
  isNamespaced: boolean
  /** Which objects are judged, by name, as matchConditions, which do not see the Namespace (decision 5). */
  conditions: Record<string, string>
  /** In which Namespaces. */
  isJudgedIn?: string
  /** By code, whether an object, by an expression for it, has what is denied. */
  denied(object: string): Map<DiagnosticCode, string>
}

/**
 * The policies and their bindings, in the order of applying. In mode `observe` they warn and audit, and change nothing.
 */
export function admissionPolicies(settings: Settings): KubernetesObject[] {
  const kinds = [
    virtualServices(settings),
    authorizationPolicies(),
    peerAuthentications(settings),
    namespaces(settings),
  ]
  return [
    ...kinds.flatMap(kind => validating(kind, settings)),
    ...(settings.mode === 'enforce' ? settings.namespaces.flatMap((rule, i) => capturing(rule, i, settings)) : []),
  ]
}

// What is denied ---------------------------------------------------------------------------------------------------

/** Those of a mapped ingress: whether a waypoint serves the others no expression can see. */
function virtualServices({ gateways }: Settings): Kind {
  const mapped = gateways.flatMap(({ istioGateways }) => istioGateways)
  const key = '(g.contains("/") ? g : object.metadata.namespace + "/" + g)'
  const owner = 'o.kind == "Ingress" && o.apiVersion.startsWith("networking.internal.knative.dev/")'
  return {
    resource: 'virtualservices',
    group: 'networking.istio.io',
    isNamespaced: true,
    conditions: {
      'mapped-gateway': `has(object.spec.gateways) && object.spec.gateways.exists(g, ${key} in ${literal(mapped)})`,
      'no-delegate': 'has(object.spec.hosts) && size(object.spec.hosts) > 0',
      'not-of-knative': `!object.spec.gateways.exists(g, g.startsWith("knative-serving/")) && !(has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(o, ${owner}))`,
    },
    denied: object => fieldsIn(virtualServiceFates, `${object}.spec`),
  }
}

function authorizationPolicies(): Kind {
  const known = `w.key in ${literal(attributeNames)} || w.key.matches(${literal(attributePattern)})`
  return {
    resource: 'authorizationpolicies',
    group: 'security.istio.io',
    isNamespaced: true,
    conditions: {},
    denied: object =>
      new Map([
        [
          'AP-WHEN-UNKNOWN',
          `has(${object}.spec) && has(${object}.spec.rules) && ${object}.spec.rules.exists(r, has(r.when) && r.when.exists(w, !(${known})))`,
        ],
      ]),
  }
}

/** In Namespaces that are ambient; one of the root namespace reaches all, and who is there no expression can see. */
function peerAuthentications({ namespaces, rootNamespace }: Settings): Kind {
  const isAmbient = or([
    ...namespaces.map(rule => isFor(rule, 'namespaceObject.metadata')),
    `${label('namespaceObject.metadata', dataplaneModeLabel)} == "ambient"`,
  ])
  return {
    resource: 'peerauthentications',
    group: 'security.istio.io',
    isNamespaced: true,
    conditions: { 'no-root': `object.metadata.namespace != ${literal(rootNamespace)}` },
    isJudgedIn: and([`${label('namespaceObject.metadata', dataplaneModeLabel)} != "none"`, isAmbient]),
    denied: object => {
      const mtls = `${object}.spec.mtls`
      return new Map([
        ['PA-MODE-DISABLE', `has(${object}.spec) && has(${mtls}) && has(${mtls}.mode) && ${mtls}.mode == "DISABLE"`],
      ])
    },
  }
}

function namespaces({ rootNamespace }: Settings): Kind {
  return {
    resource: 'namespaces',
    group: '',
    isNamespaced: false,
    conditions: {},
    denied: object => {
      const metadata = `${object}.metadata`
      const mode = label(metadata, dataplaneModeLabel)
      const isLabelled = `has(${metadata}.labels) && ${literal(dataplaneModeLabel)} in ${metadata}.labels`
      const system = literal([rootNamespace, ...systemNamespaces])
      return new Map([
        ['NS-DATAPLANE-MODE-UNKNOWN', `${isLabelled} && !(${mode} in ["ambient", "none"])`],
        ['NS-DATAPLANE-MODE-SYSTEM', `${mode} == "ambient" && ${metadata}.name in ${system}`],
      ])
    },
  }
}

// Policies ---------------------------------------------------------------------------------------------------------

function validating(kind: Kind, settings: Settings): KubernetesObject[] {
  const { resource, group, isNamespaced, conditions, isJudgedIn = 'true', denied } = kind
  const name = `sidestep-${resource}`
  const before = denied('oldObject')
  const denials = [...denied('object')].filter(([code]) => severityOf(code, settings) === 'denial')
  if (denials.length === 0) return []
  const isEnforced = settings.mode === 'enforce'
  return [
    policy('ValidatingAdmissionPolicy', name, {
      failurePolicy: 'Ignore',
      matchConstraints: matching(group, resource, isNamespaced, ['CREATE', 'UPDATE']),
      matchConditions: named({ 'no-companion': isNoCompanion, ...conditions }),
      variables: named({
        isJudged: and([isJudged(isNamespaced ? 'namespaceObject.metadata' : 'object.metadata', settings), isJudgedIn]),
      }),
      validations: denials.map(([code, expression]) => ({
        // What was stored before is not denied for being there.
        expression: `!variables.isJudged || !(${expression}) || (request.operation == "UPDATE" && (${before.get(code)}))`,
        message: `${code}: ${sentenceOf(code, name => `the ${name}`)} (sidestep explain ${code})`,
        reason: 'Forbidden',
      })),
    }),
    policy('ValidatingAdmissionPolicyBinding', name, {
      policyName: name,
      validationActions: isEnforced ? ['Deny'] : ['Warn', 'Audit'],
    }),
  ]
}

/**
 * A new Namespace of a rule is captured, and nothing injects into its pods. Later ones are not, since there policies and
 * pods have to be looked at before; nor one that names a revision, which has to go over to its waypoint.
 */
function capturing(rule: NamespaceRule, i: number, settings: Settings): KubernetesObject[] {
  const name = `sidestep-capture-${i}`
  const earlier = settings.namespaces.slice(0, i).map(each => `!(${isFor(each, 'object.metadata')})`)
  const system = [settings.rootNamespace, ...systemNamespaces]
  const injection = 'istio-injection'
  return [
    policy('MutatingAdmissionPolicy', name, {
      failurePolicy: 'Ignore',
      reinvocationPolicy: 'IfNeeded',
      matchConstraints: matching('', 'namespaces', false, ['CREATE']),
      matchConditions: named({
        mode: isJudged('object.metadata', settings),
        rule: and([isFor(rule, 'object.metadata'), ...earlier]),
        'no-system': `!(object.metadata.name in ${literal(system)})`,
        'no-choice': `${label('object.metadata', dataplaneModeLabel)} == "" && ${label('object.metadata', revisionLabel)} == ""`,
      }),
      mutations: [
        {
          patchType: 'ApplyConfiguration',
          applyConfiguration: {
            expression: `Object{metadata: Object.metadata{labels: {${literal(dataplaneModeLabel)}: ${literal(rule.dataplaneMode)}}}}`,
          },
        },
        {
          patchType: 'JSONPatch',
          jsonPatch: {
            expression: `${label('object.metadata', injection)} == "enabled" ? [JSONPatch{op: "remove", path: "/metadata/labels/" + jsonpatch.escapeKey(${literal(injection)})}] : []`,
          },
        },
      ],
    }),
    policy('MutatingAdmissionPolicyBinding', name, { policyName: name }),
  ]
}

function named(expressions: Record<string, string>): { name: string; expression: string }[] {
  return Object.entries(expressions).map(([name, expression]) => ({ name, expression }))
}

function policy(kind: string, name: string, spec: object): KubernetesObject {
  const labels = { 'app.kubernetes.io/name': 'sidestep', 'app.kubernetes.io/component': 'admission-policies' }
  return { apiVersion, kind, metadata: { name, labels }, spec } as KubernetesObject
}

function matching(group: string, resource: string, isNamespaced: boolean, operations: string[]): object {
  const scope = isNamespaced ? 'Namespaced' : 'Cluster'
  const rule = { apiGroups: [group], apiVersions: ['v1'], operations, resources: [resource], scope }
  return { matchPolicy: 'Equivalent', resourceRules: [rule] }
}

// Conditions -------------------------------------------------------------------------------------------------------

/** Whether the mode of a Namespace, which its label says before the settings, is the one that these policies carry out. */
function isJudged(metadata: string, { mode }: Settings): string {
  const others = mode === 'enforce' ? ['off', 'observe'] : ['off']
  return `!(${label(metadata, modeLabel)} in ${literal(others)})`
}

const isNoCompanion = `!(${hasLabels('object.metadata', { [managedByLabel]: 'sidestep' })} && has(object.metadata.annotations) && ${literal(sourceAnnotation)} in object.metadata.annotations)`

function isFor({ names, matchLabels }: NamespaceRule, metadata: string): string {
  if (names) return `${metadata}.name in ${literal(names)}`
  return matchLabels ? hasLabels(metadata, matchLabels) : 'false'
}
