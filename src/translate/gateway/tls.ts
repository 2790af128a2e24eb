// spec.servers[].tls -> spec.listeners[].tls (research/virtualservice.md, section 5). What Istio does not read from a
// listener refuses the whole: a client certificate that nobody asks for any more is an open door.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import type { Report } from '../report.ts'
import { type ClusterSnapshot, inNamespace } from '../snapshot.ts'

/** Where the Secrets are read from today, and the namespace of the Gateway that will have to read them. */
export interface Secrets {
  /** Of the old gateway's pods: that is where Istio looks for `credentialName`. */
  namespace: string
  gatewayNamespace: string
  cluster: ClusterSnapshot
}

const modeOption = 'gateway.istio.io/tls-terminate-mode'
const cipherOption = 'gateway.istio.io/tls-cipher-suites'

/** Without a mode it is PASSTHROUGH, the first of the enum. */
export function modeOf({ mode }: istio.ServerTLSSettings): string {
  return mode || 'PASSTHROUGH'
}

/** The TLS settings of a listener; undefined when there are none that would do the same, which is reported. */
export function listenerTls(
  tls: istio.ServerTLSSettings,
  field: string,
  secrets: Secrets,
  report: Report,
): gateway.ListenerTLSConfig | undefined {
  const mode = modeOf(tls)
  const { cipherSuites = [] } = tls
  // Certificates, versions and cipher suites are the backend's business here.
  if (mode === 'PASSTHROUGH') return { mode: 'Passthrough' }
  if (!['SIMPLE', 'MUTUAL', 'OPTIONAL_MUTUAL', 'ISTIO_MUTUAL'].includes(mode)) {
    report('GW-TLS-MODE', `${field}.mode`, { mode: mode.slice(0, 40) })
    return undefined
  }
  checkVersions(tls, field, report)
  const modeOptions = mode === 'SIMPLE' ? {} : { [modeOption]: mode }
  if (mode === 'ISTIO_MUTUAL') {
    // `buildTLS` (pilot/pkg/config/kube/gateway/conversion.go) is done with the listener before it reads other options.
    if (cipherSuites.length > 0) report('GW-TLS-MODE', `${field}.mode`, { mode: 'ISTIO_MUTUAL with cipherSuites' })
    return { mode: 'Terminate', options: modeOptions }
  }
  if (cipherSuites.length > 0) report('GW-TLS-CIPHER-SUITES', `${field}.cipherSuites`)
  const options = { ...modeOptions, ...(cipherSuites.length > 0 ? { [cipherOption]: cipherSuites.join(',') } : {}) }
  const certificateRefs = certificateRefsOf(tls, field, secrets, report)
  if (certificateRefs.length === 0) return undefined
  return { mode: 'Terminate', certificateRefs, ...(Object.keys(options).length > 0 ? { options } : {}) }
}

/** Envoy's own bounds for servers are TLS 1.2 and 1.3; whoever writes just them says what holds anyway. */
function checkVersions(
  { minProtocolVersion: min, maxProtocolVersion: max }: istio.ServerTLSSettings,
  field: string,
  report: Report,
): void {
  if (min && min !== 'TLS_AUTO' && min !== 'TLSV1_2') report('GW-TLS-VERSION', `${field}.minProtocolVersion`)
  if (max && max !== 'TLS_AUTO' && max !== 'TLSV1_3') report('GW-TLS-VERSION', `${field}.maxProtocolVersion`)
}

function certificateRefsOf(
  tls: istio.ServerTLSSettings,
  field: string,
  secrets: Secrets,
  report: Report,
): NonNullable<gateway.ListenerTLSConfig['certificateRefs']> {
  const { credentialName, credentialNames = [] } = tls
  const names = credentialName ? [credentialName] : credentialNames
  const where = `${field}.${credentialName || names.length === 0 ? 'credentialName' : 'credentialNames'}`
  if (names.length === 0) report('GW-TLS-CREDENTIAL', where, { credential: 'the server' })
  // Whose CA counts when there are two is not written down anywhere.
  if (names.length > 1 && modeOf(tls) !== 'SIMPLE')
    report('GW-TLS-MODE', `${field}.mode`, { mode: `${modeOf(tls)} with two credentials` })
  return names.map(name => {
    // `sds://…`, `builtin://`, `file://…` and `kubernetes://…` are Istio's own ways to name a certificate.
    if (!/^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/.test(name))
      report('GW-TLS-CREDENTIAL', where, { credential: name.slice(0, 60) || '""' })
    const isElsewhere = secrets.namespace !== secrets.gatewayNamespace
    if (isElsewhere && !isGranted(name, secrets)) {
      const secret = `${secrets.namespace}/${name.slice(0, 60)}`
      report('GW-TLS-GRANT', where, { secret, namespace: secrets.gatewayNamespace })
    }
    return { kind: 'Secret', name, ...(isElsewhere ? { namespace: secrets.namespace } : {}) }
  })
}

function isGranted(name: string, { namespace, gatewayNamespace, cluster }: Secrets): boolean {
  return inNamespace(cluster.referenceGrants, namespace).some(
    ({ spec }) =>
      spec?.from?.some(source => source.kind === 'Gateway' && source.namespace === gatewayNamespace) &&
      spec?.to?.some(target => target.kind === 'Secret' && (!target.name || target.name === name)),
  )
}
