// Settings that match nothing of what was read: a name that is written wrong does nothing, without a word. Only those that a
// person gives: that a profile knows more than a cluster has is what it is for.
import type { KubernetesObject } from '../apis/core.ts'
import { gatewayNameLabel } from '../translate/companion.ts'
import { isSelected, labelsText } from '../translate/labels.ts'
import type { GatewayMapping, NamespaceRule, Settings } from '../translate/settings.ts'
import { byKey, type ClusterSnapshot, inNamespace } from '../translate/snapshot.ts'
import { namespaceRule } from '../translate/waypoint.ts'
import { namespaceIn } from './namespaces.ts'

/** So many are told; who has more has other settings before him than those of this cluster. */
const limit = 6

/**
 * A sentence for each setting that matches nothing, by its path in the file.
 * @param given what the file says
 */
export function idleSettings(
  given: Partial<Settings>,
  cluster: ClusterSnapshot,
  objects: Iterable<KubernetesObject>,
): string[] {
  const { rootNamespace, gateways = [], namespaces = [], pathPrefixes = {} } = given
  // In files a Namespace is often known by what is in it alone.
  const known = new Set([...objects].map(namespaceIn))
  const lines = [
    // Files are often those of an application.
    ...(rootNamespace && cluster.isComplete && !known.has(rootNamespace)
      ? [`rootNamespace names Namespace ${rootNamespace}, which is not there`]
      : []),
    ...gateways.flatMap((mapping, i) => idleInMapping(mapping, `gateways[${i}]`, cluster)),
    ...namespaces.flatMap((rule, i) => idleInRule(rule, `namespaces[${i}]`, { namespaces, cluster, known })),
    ...idlePrefixes(Object.keys(pathPrefixes), cluster),
  ].map(line => `the setting ${line}`)
  const rest = lines.length - limit
  return rest > 0 ? [...lines.slice(0, limit), `${rest} more settings match nothing here either`] : lines
}

function idleInMapping(
  { istioGateways, pods, serviceAccounts }: GatewayMapping,
  path: string,
  cluster: ClusterSnapshot,
): string[] {
  const missing = istioGateways.filter(key => !byKey(cluster.istioGateways, key))
  const there = istioGateways.flatMap(key => byKey(cluster.istioGateways, key) ?? [])
  const all = inNamespace(cluster.workloads, pods.namespace)
  const old = all.filter(({ labels }) => isSelected(labels, pods.labels) && !labels[gatewayNameLabel])
  // When the old gateway has gone, its Istio Gateways still say what its labels were.
  const isMeant = old.length > 0 || there.some(({ spec }) => spec?.selector && isSelected(pods.labels, spec.selector))
  const isKnown = cluster.isComplete || there.length > 0 || all.length > 0
  const accounts = [...new Set(old.map(({ serviceAccount }) => serviceAccount))].sort()
  const isNobody = old.length > 0 && !accounts.some(account => serviceAccounts.old.includes(account))
  return [
    ...(missing.length > 0
      ? [`${path}.istioGateways names Gateway ${listed(missing)}, which is not in what was read`]
      : []),
    ...(isKnown && !isMeant
      ? [
          `${path}.pods matches no pod in ${pods.namespace} (${labelsText(pods.labels)}), and no Gateway of istioGateways selects these labels`,
        ]
      : []),
    ...(isNobody
      ? [`${path}.serviceAccounts.old names ${listed(serviceAccounts.old)}, and the pods run as ${listed(accounts)}`]
      : []),
  ]
}

interface Surroundings {
  namespaces: NamespaceRule[]
  cluster: ClusterSnapshot
  /** The Namespaces that were read, or something in them. */
  known: ReadonlySet<string>
}

function idleInRule(rule: NamespaceRule, path: string, { namespaces, cluster, known }: Surroundings): string[] {
  const { names, matchLabels, waypoint } = rule
  const first = (name: string, rules: NamespaceRule[]) =>
    namespaceRule(name, cluster.namespaces.get(name)?.metadata.labels, { namespaces: rules })
  const matched = [...known].filter(name => first(name, [rule]))
  const missing = names?.filter(name => !known.has(name)) ?? []
  const named = waypoint && waypoint.services !== 'all' ? waypoint.services : []
  const lacking = named.filter(service => matched.every(name => !byKey(cluster.services, `${name}/${service}`)))
  return [
    ...(missing.length > 0 ? [`${path}.names names Namespace ${listed(missing)}, which is not in what was read`] : []),
    ...(matchLabels && matched.length === 0
      ? [`${path}.matchLabels matches no Namespace of what was read (${labelsText(matchLabels)})`]
      : []),
    ...(matched.length > 0 && matched.every(name => first(name, namespaces) !== rule)
      ? [`${path} does nothing, since an earlier rule holds for every Namespace that it matches`]
      : []),
    ...(matched.length > 0 && lacking.length > 0
      ? [
          `${path}.waypoint.services names Service ${listed(lacking)}, which is not in what was read of ${listed(matched)}`,
        ]
      : []),
  ]
}

function idlePrefixes(prefixes: string[], { virtualServices }: ClusterSnapshot): string[] {
  if (prefixes.length === 0) return []
  const used = new Set<string | undefined>()
  for (const its of virtualServices.values())
    for (const { spec } of its.values())
      for (const { match = [] } of spec?.http ?? []) for (const { uri } of match) used.add(uri?.prefix)
  return prefixes
    .filter(prefix => !used.has(prefix))
    .map(prefix => `pathPrefixes[${prefix}] is the uri.prefix of no VirtualService that was read`)
}

function listed(names: readonly string[]): string {
  return names.length > 4 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
}
