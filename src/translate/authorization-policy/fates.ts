// What becomes of every field of an AuthorizationPolicy (research/policies.md 1.1).
// `translated` here mostly means: carried over as it is, to where it can be enforced.
import type * as istio from '../../apis/istio.ts'
import { type Fate, listOf, mapOf, type Shape, table } from '../fate.ts'

export const shapeCodes = { unknown: 'AP-FIELD-UNKNOWN', type: 'AP-FIELD-TYPE' } as const

const policyTargetReferenceFates: Shape = table<istio.PolicyTargetReference>({
  group: ['translated', 'string'],
  kind: ['translated', 'string'],
  name: ['translated', 'string'],
  namespace: ['translated', 'string'],
})

const selectorFates = table<{ matchLabels?: Record<string, string> }>({ matchLabels: ['translated', mapOf('string')] })

/** `selector`, `targetRef` and `targetRefs`, which RequestAuthentication has too. */
export const workloadTargetFates = {
  selector: ['translated', selectorFates],
  targetRef: ['translated', policyTargetReferenceFates],
  targetRefs: ['translated', listOf(policyTargetReferenceFates)],
} satisfies Record<keyof istio.WorkloadTarget, [Fate, Shape]>

const strings = listOf('string')

export const sourceFates = table<istio.Source>({
  principals: ['translated', strings],
  notPrincipals: ['translated', strings],
  requestPrincipals: ['translated', strings],
  notRequestPrincipals: ['translated', strings],
  namespaces: ['translated', strings],
  notNamespaces: ['translated', strings],
  serviceAccounts: ['translated', strings],
  notServiceAccounts: ['translated', strings],
  trustDomains: ['translated', strings],
  notTrustDomains: ['translated', strings],
  ipBlocks: ['translated', strings],
  notIpBlocks: ['translated', strings],
  remoteIpBlocks: ['translated', strings],
  notRemoteIpBlocks: ['translated', strings],
})

export const operationFates = table<istio.Operation>({
  hosts: ['translated', strings],
  notHosts: ['translated', strings],
  ports: ['translated', strings],
  notPorts: ['translated', strings],
  methods: ['translated', strings],
  notMethods: ['translated', strings],
  paths: ['translated', strings],
  notPaths: ['translated', strings],
})

const ruleFates = table<istio.Rule>({
  from: ['translated', listOf(table<{ source?: istio.Source }>({ source: ['translated', sourceFates] }))],
  to: ['translated', listOf(table<{ operation?: istio.Operation }>({ operation: ['translated', operationFates] }))],
  when: [
    'translated',
    listOf(
      table<istio.AuthorizationCondition>({
        key: ['translated', 'string'],
        values: ['translated', strings],
        notValues: ['translated', strings],
      }),
    ),
  ],
})

export const authorizationPolicyFates = table<istio.AuthorizationPolicySpec>({
  ...workloadTargetFates,
  action: ['translated', 'string'],
  provider: ['translated', table<{ name?: string }>({ name: ['translated', 'string'] })],
  rules: ['translated', listOf(ruleFates)],
})
