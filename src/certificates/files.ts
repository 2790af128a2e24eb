// The certificate in two files, such as cert-manager and the kubelet write them, and its successors.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { watch } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { BaseLogger } from 'pino'
import { type Certificate, CertificateError, type CertificateSource, certificatesIn, expired } from './source.ts'

const pollMilliseconds = 60_000

/**
 * The certificate in the files, followed. Files that do not fit together are read again later, and what was good before is
 * served until then. @throws CertificateError when they cannot be used to begin with
 */
export async function followFiles(
  { certFile, keyFile }: { certFile: string; keyFile: string },
  logger: Pick<BaseLogger, 'info' | 'error'>,
  pollEvery = pollMilliseconds,
): Promise<CertificateSource> {
  let certificate = await certificateFromFiles(certFile, keyFile)
  let problem = ''
  const listeners = new Set<(certificate: Certificate) => void>()

  const look = async () => {
    try {
      const found = await certificateFromFiles(certFile, keyFile)
      problem = ''
      if (found.cert === certificate.cert && found.key === certificate.key) return
      certificate = found
      logger.info({ notAfter: found.notAfter }, 'serving a new certificate')
      for (const listener of listeners) listener(found)
    } catch (err) {
      const { message } = err as Error
      if (message !== problem) logger.error({ err }, 'the certificate files are not taken, the one before serves on')
      problem = message
    }
  }
  // One look after the other, or an older one could end last. Two files are two events, and one more look is cheap.
  let looking = Promise.resolve()
  const lookAgain = () => {
    looking = looking.then(look)
  }
  // The directory, since a Secret volume swaps the symbolic link `..data`, and the files themselves never change.
  const watchers = [...new Set([certFile, keyFile].map(file => dirname(file)))].flatMap(directory => {
    try {
      return [watch(directory, { persistent: false }, lookAgain).on('error', () => {})]
    } catch {
      // Not every file system tells, and a node has only so many watches (ENOSPC); the poll does the rest.
      return []
    }
  })
  const poll = setInterval(lookAgain, pollEvery).unref()
  return {
    certificate: () => certificate,
    missing: () => expired(certificate),
    subscribe(listener) {
      listeners.add(listener)
    },
    async stop() {
      clearInterval(poll)
      for (const watcher of watchers) watcher.close()
      await looking
    },
  }
}

/**
 * A certificate from two PEM files, such as the ones that a mounted Secret gives. The last certificate of the chain is
 * what clients have to trust, unless it was issued by an authority that they know already.
 */
export async function certificateFromFiles(certFile: string, keyFile: string): Promise<Certificate> {
  const [cert, key] = await Promise.all([read(certFile), read(keyFile)])
  const chain = certificatesIn(cert)
  const [leaf] = parse(certFile, () => chain.map(pem => new X509Certificate(pem)))
  const ca = chain.at(-1)
  if (!leaf || !ca) throw new CertificateError(`${certFile} holds no certificate; it must be a PEM file`)
  const privateKey = parse(keyFile, () => createPrivateKey(key))
  if (!leaf.checkPrivateKey(privateKey))
    throw new CertificateError(`${keyFile} is not the key of ${certFile}; give files that belong together`)
  const notAfter = new Date(leaf.validTo)
  if (notAfter.getTime() <= Date.now())
    throw new CertificateError(`${certFile} expired at ${notAfter.toISOString()}; renew it`)
  return { cert, key, ca, notAfter }
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
