// Issues certificates: EC P-256, signed by themselves or by an authority, as the webhook configurations need them.
import { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'
import { generate } from 'selfsigned'
import type { Authority } from './authority.ts'
import type { Certificate } from './source.ts'

const hourMilliseconds = 3_600_000
const subjectAltName = { dns: 2, ip: 7 } as const

/** From when until when, in milliseconds since 1970. Certificates know whole seconds. */
export interface Validity {
  notBefore: number
  notAfter: number
}

/** The names by which API servers reach the webhook's Service, and a person on the same machine. */
export function webhookNames(namespace: string, service = 'sidestep'): string[] {
  const name = `${service}.${namespace}`
  return ['localhost', '127.0.0.1', service, name, `${name}.svc`, `${name}.svc.cluster.local`]
}

/**
 * A self-signed certificate for these DNS names and IP addresses. It starts an hour ago, since the clocks of API servers
 * differ, and is no authority: trusting it trusts this one server.
 */
export async function selfSignedCertificate({
  names,
  days = 365,
}: {
  names: readonly string[]
  days?: number
}): Promise<Certificate> {
  const now = Date.now()
  const validity = { notBefore: now - hourMilliseconds, notAfter: now + days * 24 * hourMilliseconds }
  const { cert, key } = await issue('sidestep', serverExtensions(names), validity)
  return { cert, key, ca: cert, notAfter: new Date(validityOf(cert).notAfter) }
}

/** An authority, which may sign leaves and nothing else. */
export async function issueAuthority(validity: Validity): Promise<Authority> {
  const extensions: Extensions = [
    { name: 'basicConstraints', cA: true, pathLenConstraint: 0, critical: true },
    { name: 'keyUsage', keyCertSign: true, critical: true },
  ]
  // A name of its own: where two authorities of one name are trusted, a client has to guess which of them signed.
  const name = `sidestep CA ${new Date().toISOString()} ${Math.random().toString(36).slice(2, 8)}`
  const { cert, key } = await issue(name, extensions, validity)
  return { cert, key, ...validityOf(cert) }
}

/** A certificate for these names, signed by an authority. It does not outlast it. */
export async function issueLeaf(
  authority: Authority,
  names: readonly string[],
  { notBefore, notAfter }: Validity,
): Promise<Certificate> {
  const validity = { notBefore, notAfter: Math.min(notAfter, authority.notAfter) }
  const { cert, key } = await issue('sidestep', serverExtensions(names), validity, authority)
  return { cert, key, ca: authority.cert, notAfter: new Date(validityOf(cert).notAfter) }
}

export function validityOf(cert: string): Validity {
  const { validFrom, validTo } = new X509Certificate(cert)
  return { notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) }
}

type Extensions = NonNullable<NonNullable<Parameters<typeof generate>[1]>['extensions']>

function serverExtensions(names: readonly string[]): Extensions {
  const altNames = names.map(name =>
    isIP(name) ? { type: subjectAltName.ip, ip: name } : { type: subjectAltName.dns, value: name },
  )
  return [
    { name: 'basicConstraints', cA: false, critical: true },
    { name: 'keyUsage', digitalSignature: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true },
    { name: 'subjectAltName', altNames },
  ]
}

/** The subject is never a host name: a common name may have 64 characters at most, and nobody reads it any more. */
async function issue(
  commonName: string,
  extensions: Extensions,
  { notBefore, notAfter }: Validity,
  ca?: { cert: string; key: string },
): Promise<{ cert: string; key: string }> {
  const { cert, private: key } = await generate([{ name: 'commonName', value: commonName }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(notBefore),
    notAfterDate: new Date(notAfter),
    extensions,
    ...(ca && { ca: { cert: ca.cert, key: ca.key } }),
  })
  return { cert: `${cert.trim()}\n`, key }
}
