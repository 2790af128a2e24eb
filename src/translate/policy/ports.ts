// Ports: ztunnel and sidecars see the container's, a waypoint the Service's (research/policies.md 1.3). A rule by port is
// therefore written anew for each Service that leads to the pods.
import type * as core from '../../apis/core.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import { type ClusterSnapshot, inNamespace, namespaceOf } from '../snapshot.ts'
import { isSelected } from '../waypoint.ts'

/** Whether a rule depends on the port, in any of the places where it can. */
export function isByPort({ to = [], when = [] }: istio.Rule): boolean {
  return (
    to.some(({ operation: { ports = [], notPorts = [] } = {} }) => ports.length + notPorts.length > 0) ||
    when.some(({ key }) => key === 'destination.port')
  )
}

/** A port of a Service, and the container ports that it leads to: several, or none, where a name is not one number. */
interface Door {
  port: string
  leadsTo: string[]
}

/**
 * A rule as a waypoint has to read it for one Service. Undefined when no port of the Service leads to what it matches.
 * Where it is not known what a port leads to, an ALLOW leaves it out and any other action takes it in.
 */
function atService(rule: istio.Rule, doors: Door[], isAllow: boolean): istio.Rule | undefined {
  if (!isByPort(rule)) return rule
  const through = (ports: string[], isWide: boolean) =>
    doors
      .filter(({ leadsTo }) =>
        isWide
          ? leadsTo.length === 0 || leadsTo.some(port => ports.includes(port))
          : leadsTo.length > 0 && leadsTo.every(port => ports.includes(port)),
      )
      .map(({ port }) => port)
  const { from, to: givenTo = [], when: givenWhen = [] } = rule
  const to = givenTo.map(({ operation = {} }) => {
    const { ports, notPorts } = operation
    const open = ports && through(ports, !isAllow)
    const shut = notPorts && through(notPorts, isAllow)
    const its = { ...operation, ...(open ? { ports: open } : {}), ...(shut ? { notPorts: shut } : {}) }
    if (shut?.length === 0) delete its.notPorts
    return { isReached: !open || open.length > 0, operation: its }
  })
  const reached = to.filter(({ isReached }) => isReached).map(({ operation }) => ({ operation }))
  if (to.length > 0 && reached.length === 0) return undefined
  const when: istio.AuthorizationCondition[] = []
  for (const condition of givenWhen) {
    if (condition.key !== 'destination.port') {
      when.push(condition)
      continue
    }
    const open = condition.values && through(condition.values, !isAllow)
    const shut = condition.notValues && through(condition.notValues, isAllow)
    if (open && open.length === 0) return undefined
    if (open || shut?.length)
      when.push({ key: condition.key, ...(open ? { values: open } : {}), ...(shut?.length ? { notValues: shut } : {}) })
  }
  // An operation that is left without conditions matches everything, and with it the clause.
  const isOpen = reached.some(({ operation }) => Object.keys(operation).length === 0)
  return {
    ...(from ? { from } : {}),
    ...(reached.length > 0 && !isOpen ? { to: reached } : {}),
    ...(when.length > 0 ? { when } : {}),
  }
}

/** The ports of a Service with what they lead to. A named one is looked up on the pods (`containerPort`). */
function doorsOf(service: core.Service, cluster: ClusterSnapshot, report: Report): Door[] {
  const { selector = {}, ports = [] } = service.spec ?? {}
  const pods = inNamespace(cluster.workloads, namespaceOf(service)).filter(({ labels }) => isSelected(labels, selector))
  return ports.map(({ port, targetPort = port }) => {
    const isName = typeof targetPort === 'string' && !/^\d+$/.test(targetPort)
    const named = pods.flatMap(pod => pod.ports.filter(({ name }) => name === targetPort))
    const leadsTo = isName
      ? [...new Set(named.map(({ containerPort }) => String(containerPort)))]
      : [String(targetPort)]
    if (leadsTo.length !== 1) {
      const { name = '' } = service.metadata
      report('AP-PORTS-UNKNOWN', 'spec.rules', { service: name, port: String(port), target: String(targetPort) })
    }
    return { port: String(port), leadsTo }
  })
}

/** The rules as an Envoy has to read them that sees ports of a Service, and not those of the pods behind it. */
export function readAt(
  rules: istio.Rule[],
  service: core.Service,
  isAllow: boolean,
  cluster: ClusterSnapshot,
  report: Report,
): istio.Rule[] {
  const doors = doorsOf(service, cluster, report)
  return rules.flatMap(rule => atService(rule, doors, isAllow) ?? [])
}

/** Reports rules by pod address, which a waypoint cannot hold: it sees the Service's. */
export function checkAddresses(rules: istio.Rule[], report: Report): void {
  for (const [i, { when = [] }] of rules.entries())
    if (when.some(({ key }) => key === 'destination.ip')) report('AP-WHEN-DESTINATION-IP', `spec.rules[${i}]`)
}
