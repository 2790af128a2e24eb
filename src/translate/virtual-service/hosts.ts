// spec.hosts -> spec.hostnames (research/virtualservice.md, section 3). The narrower of VirtualService, Istio Gateway and
// listener wins, and it is always written out, because Istio orders routes only among equal hostname texts (section 2.2).
import type * as istio from '../../apis/istio.ts'
import { intersection, isCovered, isHostname, overlaps } from '../hostname.ts'
import type { Report } from '../report.ts'
import type { Parent } from './scopes.ts'

/**
 * What `hostnames` says for one parent: undefined leaves it out (every host), an empty list means that nothing is served.
 * A short name is expanded as Istio does for every gateway, into a Service's full name in the VirtualService's namespace.
 */
export function hostnamesFor(
  { spec: { hosts = [] }, metadata: { namespace = 'default' } }: istio.VirtualService,
  clusterDomain: string,
  parent: Pick<Parent, 'hosts' | 'listenerHosts'>,
  report: Report,
): string[] | undefined {
  const wanted = hosts.flatMap((host, i) => {
    const name = host.toLowerCase()
    if (name === '*') return ['*']
    if (!isHostname(name.replace(/^\*\./, ''))) {
      report('VS-HOSTS-INVALID', `spec.hosts[${i}]`, { host: host.slice(0, 60) })
      return []
    }
    return [fullName(name, namespace, clusterDomain)]
  })
  const served = wanted.flatMap(host => {
    const today = parent.hosts.flatMap(limit => intersection(host, limit))
    const then = today.flatMap(name => parent.listenerHosts.flatMap(limit => intersection(name, limit)))
    // Parked for the sake of its other hosts, it would stop serving this one.
    if (today.length > 0 && then.length === 0) report('VS-HOSTS-LISTENER', 'spec.hosts', { host })
    else if (!today.every(name => parent.listenerHosts.some(limit => isCovered(name, limit))))
      report('VS-HOSTS-NARROWED', 'spec.hosts', { host, listener: parent.listenerHosts.join(' ').slice(0, 80) })
    return then
  })
  const hostnames = [...new Set(served)].sort()
  return hostnames.includes('*') ? undefined : hostnames
}

/** Reports the hosts that no server serves. */
export function checkHosts(
  { spec: { hosts = [] }, metadata: { namespace = 'default' } }: istio.VirtualService,
  clusterDomain: string,
  serverHosts: string[],
  report: Report,
): void {
  for (const host of hosts) {
    const name = fullName(host.toLowerCase(), namespace, clusterDomain)
    if (!serverHosts.some(limit => overlaps(name, limit)))
      report('VS-HOSTS-UNMATCHED', 'spec.hosts', { host: name.slice(0, 80) })
  }
}

/** As Istio reads a short name, for gateways too. */
export function fullName(host: string, namespace: string, clusterDomain: string): string {
  return host.includes('*') || host.includes('.') ? host : `${host}.${namespace}.svc.${clusterDomain}`
}
