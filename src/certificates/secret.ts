// The data of the Secret <-> the authorities in it.
//
//   tls.crt tls.key     the authority that signs
//   next.crt next.key   the one that will
//   former.crt          those that did, one or more certificates, without their keys
//   former.until        when the last leaf of theirs has expired
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Authorities, Authority, Trusted } from './authority.ts'
import { CertificateError, certificatesIn } from './source.ts'

export type SecretData = Record<string, string>

const keys = ['tls.crt', 'tls.key', 'next.crt', 'next.key', 'former.crt', 'former.until'] as const
type Key = (typeof keys)[number]

/**
 * The authorities; undefined when there is nothing in it, be it that the keys of a kubernetes.io/tls Secret are there and
 * empty. @throws CertificateError when somebody filled it with something else
 */
export function decode(data: SecretData = {}): Authorities | undefined {
  if (Object.values(data).every(value => value === '')) return undefined
  const text = (key: Key) => Buffer.from(data[key] ?? '', 'base64').toString()
  const current = authorityIn(text, 'tls')
  const former = certificatesIn(text('former.crt')).map(cert => trustedIn(cert, 'former.crt'))
  const formerUntil = Date.parse(text('former.until'))
  if (former.length > 0 && Number.isNaN(formerUntil)) throw new CertificateError('former.until is no time')
  return {
    current,
    ...((data['next.crt'] || data['next.key']) && { next: authorityIn(text, 'next') }),
    former,
    ...(former.length > 0 && { formerUntil }),
  }
}

/** The data with these authorities, and with whatever else is in it. */
export function encode({ current, next, former, formerUntil }: Authorities, data: SecretData = {}): SecretData {
  const others = Object.entries(data).filter(([key]) => !keys.includes(key as Key))
  const texts: Partial<Record<Key, string>> = {
    'tls.crt': current.cert,
    'tls.key': current.key,
    ...(next && { 'next.crt': next.cert, 'next.key': next.key }),
    ...(former.length > 0 && { 'former.crt': former.map(({ cert }) => cert).join('') }),
    ...(formerUntil !== undefined && { 'former.until': new Date(formerUntil).toISOString() }),
  }
  const encoded = Object.entries(texts).map(([key, text]) => [key, Buffer.from(text).toString('base64')])
  return Object.fromEntries([...others, ...encoded])
}

function authorityIn(text: (key: Key) => string, name: 'tls' | 'next'): Authority {
  const [certKey, keyKey] = [`${name}.crt`, `${name}.key`] as const
  const [cert, ...others] = certificatesIn(text(certKey))
  if (!cert || others.length > 0) throw new CertificateError(`${certKey} is not one certificate in PEM`)
  const key = text(keyKey)
  const x509 = parsed(certKey, () => new X509Certificate(cert))
  const privateKey = parsed(keyKey, () => createPrivateKey(key))
  if (!x509.ca) throw new CertificateError(`${certKey} is no authority`)
  if (!x509.checkPrivateKey(privateKey)) throw new CertificateError(`${keyKey} is not the key of ${certKey}`)
  if (privateKey.asymmetricKeyType !== 'ec') throw new CertificateError(`${keyKey} is no EC key`)
  return { ...trustedIn(cert, certKey), key }
}

export function trustedIn(cert: string, where: string): Trusted {
  const { validFrom, validTo } = parsed(where, () => new X509Certificate(cert))
  return { cert, notBefore: Date.parse(validFrom), notAfter: Date.parse(validTo) }
}

function parsed<T>(what: string, parse: () => T): T {
  try {
    return parse()
  } catch (cause) {
    throw new CertificateError(`${what} cannot be read: ${(cause as Error).message}`, { cause })
  }
}
