import { generate } from 'selfsigned'

export interface Certificate {
  /** The private key, in PEM. */
  key: string
  /** The certificate, in PEM. It signs itself, so it is also what a client has to trust. */
  cert: string
}

/** A certificate for servers on 127.0.0.1. */
export async function localCertificate(): Promise<Certificate> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: '127.0.0.1' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] },
    ],
  })
  return { key, cert }
}
