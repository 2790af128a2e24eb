// Where the webhook's certificate comes from: a Secret that the replicas share, mounted files, or a trial on one machine.

/** PEM texts. */
export interface Certificate {
  /** The leaf, and the intermediates above it. */
  cert: string
  key: string
  /** What a client has to trust: the `caBundle` of the webhook configuration. */
  ca: string
  notAfter: Date
}

export interface CertificateSource {
  /** What to serve now; undefined as long as there is nothing. */
  certificate(): Certificate | undefined
  /** What is missing before API servers can call, in words; nothing when they can. */
  missing(): string[]
  /** Whether every webhook configuration trusts what is served; not where that is somebody else's business. */
  isTrusted?(): boolean
  /** Calls the listener after each change of the certificate. */
  subscribe(listener: (certificate: Certificate) => void): void
  stop(): Promise<void>
}

/** A certificate that cannot be served, or an authority that cannot sign; `message` says why and what to do. */
export class CertificateError extends Error {
  readonly code = 'CERTIFICATE_INVALID'
}

/** One certificate that stays. */
export function fixed(certificate: Certificate): CertificateSource {
  return {
    certificate: () => certificate,
    missing: () => expired(certificate),
    subscribe() {},
    async stop() {},
  }
}

export function expired({ notAfter }: Certificate, now = Date.now()): string[] {
  return notAfter.getTime() <= now ? ['the certificate has expired'] : []
}

const certificatePem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** The certificates in a PEM text, each ended by a newline, without which a bundle of two is none. */
export function certificatesIn(text: string): string[] {
  return (text.match(certificatePem) ?? []).map(pem => `${pem.replaceAll('\r', '')}\n`)
}
