// Ways to break the translation of policies, each of which the properties of never-looser.ts have to see.
// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are texts of the sources

import type { Mutation, Table } from '../support/mutations.ts'

const mutations: Mutation[] = [
  {
    name: 'no guard: pods are left to whatever else there is',
    file: 'authorization-policy/standing.ts',
    from: "if (guard === 'none') return []",
    to: 'if (guard) return []',
  },
  {
    name: 'no guard of what refuses by HTTP',
    file: 'authorization-policy/plan.ts',
    from: "return isRefusingByHTTP(policy) ? 'denying' : 'none'",
    to: "return 'none'",
  },
  {
    name: 'a guard that refuses keeps only the rules that ztunnel can check',
    file: 'authorization-policy/guard.ts',
    from: '(isExact(rule) ? [rule] : excepting(outerAtPods(rule), callers))',
    to: '(isExact(rule) ? [rule] : [])',
  },
  {
    name: 'the outline of a rule keeps a clause of which an entry is empty',
    file: 'authorization-policy/attributes.ts',
    from: 'operations.every(({ operation }) => isSet(operation)) ? operations : []',
    to: 'operations.filter(({ operation }) => isSet(operation))',
  },
  {
    name: 'not* repair: a DENY takes the waypoint for its callers',
    file: 'authorization-policy/guard.ts',
    from: 'if (waypoints.length === 0) return rules\n  const principals',
    to: 'if (waypoints.length >= 0) return rules\n  const principals',
  },
  {
    name: 'not* repair: only principals are looked at',
    file: 'authorization-policy/guard.ts',
    from: 'Object.keys(others).length === 0,',
    to: 'true,',
  },
  {
    name: 'ports: copied from pods to Services as they are',
    file: 'policy/ports.ts',
    from: 'if (!isByPort(rule)) return rule\n',
    to: 'if (rule) return rule\n',
  },
  {
    name: 'ports: an ALLOW takes a port of which it is not known where it leads',
    file: 'policy/ports.ts',
    from: 'const open = ports && through(ports, !isAllow)',
    to: 'const open = ports && through(ports, true)',
  },
  {
    name: 'no twin on the GatewayClass',
    file: 'policy/attachments.ts',
    from: 'return attach({ namespace: rootNamespace, suffix: waypointClass, refs, services, isWhole: true }, reading)',
    to: 'return attach({ namespace: rootNamespace, suffix: waypointClass, refs, services, isWhole: true }, reading).slice(1)',
  },
  {
    name: 'order: a guard opens before what refuses is in force',
    file: 'authorization-policy/order.ts',
    from: '(guard.isRead && !refusals[i])',
    to: 'guard.isRead',
  },
  {
    name: 'order: an ALLOW stands on the new gateway before what refuses there',
    file: 'authorization-policy/index.ts',
    from: 'isAdmitting && !stands',
    to: 'isAdmitting && stands',
  },
  {
    name: 'order: what refused on the new gateway comes to admit there before what else refuses',
    file: 'authorization-policy/index.ts',
    from: 'stored !== undefined && isAllow(stored) && isOnGateway',
    to: 'stored !== undefined && isOnGateway',
  },
  {
    name: 'order: what only a sidecar enforces has no guard when it is gone',
    file: 'authorization-policy/plan.ts',
    from: 'const left = isFanOut ? undefined : leftToSidecar(policy, target.places, context)',
    to: 'const left = isFanOut ? leftToSidecar(policy, target.places, context) : undefined',
  },
  {
    name: 'order: the new gateway is admitted before its policies stand',
    file: 'identities.ts',
    from: 'if (isAdmitting && phase.missing !== undefined) {',
    to: 'if (isAdmitting && phase.missing === "never") {',
  },
  {
    name: 'order: the policy leaves its selector before its guard stands',
    file: 'authorization-policy/order.ts',
    from: "const mayLeave = !guardMissing || plan.guard === 'none' || (!isHeld && hasNoEffectAtPods(policy, context))",
    to: 'const mayLeave = true',
  },
  {
    name: 'order: a guard opens before the waypoint asks',
    file: 'authorization-policy/standing.ts',
    from: 'plan.attachments.length > 0 && stands && twins.length === 0 && !missingWaypoint(places)',
    to: 'plan.attachments.length > 0',
  },
  {
    name: 'order: pods are captured before their guards stand',
    file: 'namespace/index.ts',
    from: 'missingForCapture(name, cluster, settings)',
    to: 'undefined',
  },
  {
    name: 'order: a policy goes back to its selector while a twin is missing',
    file: 'authorization-policy/order.ts',
    from: 'if (keptRefs && !mayLeaveTargets)',
    to: 'if (keptRefs && isMoved && !mayLeaveTargets)',
  },
  {
    name: 'order: a stored DENY leaves its selector before its guard stands, since ztunnel makes nothing of it',
    file: 'authorization-policy/order.ts',
    from: "const isHeld = plan.guard === 'denying' && storedOf(policy, context.cluster) !== undefined",
    to: 'const isHeld = false',
  },
  {
    name: 'order: a stored DENY is mended before its guard stands',
    file: 'authorization-policy/index.ts',
    from: 'policy: isLeft ? original : asReadAtPods(now)',
    to: 'policy: asReadAtPods(now)',
  },
  {
    name: 'order: names of a DENY come to spare the waypoint before it asks',
    file: 'authorization-policy/guard.ts',
    from: 'sparesOne(rule) && !sparesOne(its) ? its : rule',
    to: 'rule ?? its',
  },
  {
    name: 'order: an ALLOW on its selector takes the waypoint for its callers',
    file: 'authorization-policy/order.ts',
    from: "action === 'ALLOW' && guard === 'admitting' && !isRead && isEnrolled(places, cluster)",
    to: 'false',
  },
  {
    name: 'enrolment: injection that is stored past the webhook takes the Namespace out of ambient',
    file: 'namespace/cut-over.ts',
    from: '(!injectionOf(labels) || originalAnnotation in annotations)',
    to: '!injectionOf(labels)',
  },
  {
    name: 'enrolment: before every policy is where the waypoint asks it',
    file: 'namespace/enrolment.ts',
    from: 'if (policy) return `AuthorizationPolicy ${policy.metadata.name}`',
    to: '',
  },
  {
    name: 'a bare service account of the root namespace is taken along as it is',
    file: 'authorization-policy/attributes.ts',
    from: "accounts.map(name => (name.includes('/') ? name : `${namespace}/${name}`))",
    to: 'accounts',
  },
  {
    name: 'shared waypoint: a policy for the Namespace names the waypoint itself',
    file: 'policy/targets.ts',
    from: '!isShared(ofNamespace, namespace, cluster, settings)',
    to: 'true',
  },
  {
    name: 'callers that ztunnel misreads are left to it',
    file: 'authorization-policy/attributes.ts',
    from: 'if (!rules.some(isMisread)) return rules',
    to: 'if (rules) return rules',
  },
  {
    name: 'the ports of the old gateway are copied to the new one',
    file: 'policy/ingress.ts',
    from: 'if (!rules.some(isByPort)) return policy\n',
    to: 'if (rules) return policy\n',
  },
]

export const table: Table<Mutation> = { mutations, folder: 'src/translate', property: 'test/enforcement' }
