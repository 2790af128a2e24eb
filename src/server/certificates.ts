// The certificate of the webhook's HTTPS port. Rotation only has to bring a new Certificate.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { generate } from 'selfsigned'

/** PEM texts. */
export interface Certificate {
  /** The leaf, and the intermediates above it. */
  cert: string
  key: string
  /** What a client has to trust: the `caBundle` of the webhook configuration. */
  ca: string
  notAfter: Date
}

/** A certificate that cannot be served; `message` says why and what to do. */
export class CertificateError extends Error {
  readonly code = 'CERTIFICATE_INVALID'
}

const hourMilliseconds = 3_600_000
const subjectAltName = { dns: 2, ip: 7 } as const

/** The names by which API servers reach the webhook's Service, and a person on the same machine. */
export function webhookNames(namespace: string, service = 'sidestep'): string[] {
  const name = `${service}.${namespace}`
  return ['localhost', '127.0.0.1', service, name, `${name}.svc`, `${name}.svc.cluster.local`]
}

/**
 * A self-signed P-256 certificate for these DNS names and IP addresses. It starts an hour ago, since the clocks of API
 * servers differ, and is no authority: trusting it trusts this one server.
 */
export async function selfSignedCertificate({
  names,
  days = 365,
}: {
  names: readonly string[]
  days?: number
}): Promise<Certificate> {
  const now = Date.now()
  const altNames = names.map(name =>
    isIP(name) ? { type: subjectAltName.ip, ip: name } : { type: subjectAltName.dns, value: name },
  )
  // The subject is a fixed word: a common name may have 64 characters at most, and nobody reads it any more.
  const { cert, private: key } = await generate([{ name: 'commonName', value: 'sidestep' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - hourMilliseconds),
    notAfterDate: new Date(now + days * 24 * hourMilliseconds),
    extensions: [
      { name: 'basicConstraints', cA: false, critical: true },
      { name: 'keyUsage', digitalSignature: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames },
    ],
  })
  return { cert, key, ca: cert, notAfter: expiryOf(new X509Certificate(cert)) }
}

/**
 * A certificate from two PEM files, such as the ones that a mounted Secret gives. The last certificate of the chain is
 * what clients have to trust, unless it was issued by an authority that they know already.
 */
export async function certificateFromFiles(certFile: string, keyFile: string): Promise<Certificate> {
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)])
  const chain = cert.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  const [leaf] = parse(certFile, () => chain.map(pem => new X509Certificate(pem)))
  const ca = chain.at(-1)
  if (!leaf || !ca) throw new CertificateError(`${certFile} holds no certificate; it must be a PEM file`)
  const privateKey = parse(keyFile, () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey))
    throw new CertificateError(`${keyFile} is not the key of ${certFile}; give files that belong together`)
  const notAfter = expiryOf(leaf)
  if (notAfter.getTime() <= Date.now())
    throw new CertificateError(`${certFile} expired at ${notAfter.toISOString()}; renew it`)
  return { cert, key, ca: `${ca}\n`, notAfter }
}

async function read(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (cause) {
    throw new CertificateError(`${file} cannot be read: ${(cause as Error).message}`, { cause })
  }
}

function parse<T>(file: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new CertificateError(`${file} is no valid PEM file: ${(cause as Error).message}`, { cause })
  }
}

function expiryOf(certificate: X509Certificate): Date {
  return new Date(certificate.validTo)
}
