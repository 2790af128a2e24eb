// What becomes of every field of an Istio Gateway (research/virtualservice.md, section 5; docs/mapping.md).
import type * as istio from '../../apis/istio.ts'
import { listOf, mapOf, table } from '../fate.ts'

export const shapeCodes = { unknown: 'GW-FIELD-UNKNOWN', type: 'GW-FIELD-TYPE' } as const

const port = table<NonNullable<istio.Server['port']>>({
  number: ['translated', 'integer'],
  protocol: ['translated', 'string'],
  name: ['harmless', 'string'],
  // "targetPort has no impact on Gateways" (istio/istio pkg/config/validation, validateServerPort).
  targetPort: ['harmless', 'integer'],
})

const certificate = table<NonNullable<istio.ServerTLSSettings['tlsCertificates']>[number]>({
  serverCertificate: ['GW-TLS-FILES', 'string'],
  privateKey: ['GW-TLS-FILES', 'string'],
  caCertificates: ['GW-TLS-FILES', 'string'],
})

const tls = table<istio.ServerTLSSettings>({
  httpsRedirect: ['translated', 'boolean'],
  mode: ['translated', 'string'],
  credentialName: ['translated', 'string'],
  credentialNames: ['translated', listOf('string')],
  cipherSuites: ['translated', listOf('string')],
  minProtocolVersion: ['translated', 'string'],
  maxProtocolVersion: ['translated', 'string'],
  serverCertificate: ['GW-TLS-FILES', 'string'],
  privateKey: ['GW-TLS-FILES', 'string'],
  caCertificates: ['GW-TLS-FILES', 'string'],
  caCrl: ['GW-TLS-FILES', 'string'],
  tlsCertificates: ['GW-TLS-FILES', listOf(certificate)],
  caCertCredentialName: ['GW-TLS-CA', 'string'],
  subjectAltNames: ['GW-TLS-VERIFY', listOf('string')],
  verifyCertificateSpki: ['GW-TLS-VERIFY', listOf('string')],
  verifyCertificateHash: ['GW-TLS-VERIFY', listOf('string')],
  insecureSkipVerify: ['GW-TLS-VERIFY', 'boolean'],
})

const server = table<istio.Server>({
  hosts: ['translated', listOf('string')],
  port: ['translated', port],
  tls: ['translated', tls],
  name: ['harmless', 'string'],
  bind: ['GW-SERVER-BIND', 'string'],
  defaultEndpoint: ['GW-SERVER-ENDPOINT', 'string'],
})

export const gatewayFates = table<istio.GatewaySpec>({
  selector: ['translated', mapOf('string')],
  servers: ['translated', listOf(server)],
})
