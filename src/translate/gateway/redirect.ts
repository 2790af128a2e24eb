// tls.httpsRedirect -> an HTTPRoute on the listener that redirects. A listener has no switch for it.
import type * as gateway from '../../apis/gateway.ts'
import { companionName } from '../companion.ts'
import { overlaps } from '../hostname.ts'
import type { PlannedListener } from './listeners.ts'

/** Name and content of the HTTPRoute that answers every request on a listener with a redirect to HTTPS. */
export function redirectRoute(
  planned: PlannedListener,
  all: PlannedListener[],
  parent: { namespace: string; name: string },
): { name: string; spec: gateway.HTTPRoute['spec']; port: number | undefined } {
  const { listener } = planned
  const port = tlsPort(planned, all)
  const requestRedirect = { scheme: 'https', ...(port ? { port } : {}), statusCode: 301 }
  return {
    name: companionName(parent.name, listener.name),
    port,
    spec: {
      parentRefs: [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', ...parent, sectionName: listener.name }],
      // Without hostnames and matches it is for all that the listener admits.
      rules: [{ filters: [{ type: 'RequestRedirect', requestRedirect }] }],
    },
  }
}

/** The port that serves the same hosts by HTTPS, when it is not the one that `https` means. */
function tlsPort({ listener }: PlannedListener, all: PlannedListener[]): number | undefined {
  const ports = all
    .filter(
      ({ listener: { protocol, hostname } }) =>
        protocol === 'HTTPS' && overlaps(hostname ?? '*', listener.hostname ?? '*'),
    )
    .map(({ listener: { port } }) => port)
  return ports.length === 0 || ports.includes(443) ? undefined : Math.min(...ports)
}
