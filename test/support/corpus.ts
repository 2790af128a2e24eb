// Real objects of a Kubeflow installation, read where they are and never copied into the repository. CI has them and must
// fail without; a lone clone skips the tests that want them, with a line.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseAllDocuments } from 'yaml'
import type { KubernetesObject } from '../../src/apis/core.ts'

const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../..')

/** The folder of the corpus, or undefined on a machine that does not have it. Throws in CI. */
export function corpusDirectory(): string | undefined {
  const directory = join(process.env.SIDESTEP_CORPUS ?? resolve(repository, '../shared/corpus'), 'kubeflow')
  if (existsSync(directory)) return directory
  if (process.env.CI)
    throw new Error(`no corpus at ${directory}: set SIDESTEP_CORPUS to the folder that holds kubeflow/`)
  return undefined
}

export const corpusSkipped = 'no corpus here: set SIDESTEP_CORPUS to the folder that holds kubeflow/'

export interface CorpusObject {
  file: string
  object: KubernetesObject
}

/** Every object of the corpus with its file, in the order of files and documents. */
export function readCorpus(directory: string): CorpusObject[] {
  return readdirSync(directory)
    .filter(file => file.endsWith('.yaml'))
    .sort()
    .flatMap(file =>
      parseAllDocuments(readFileSync(join(directory, file), 'utf8'))
        .map(document => document.toJS())
        .filter(object => object !== null)
        .map(object => ({ file, object })),
    )
}

/** Overlays of which an installation has one or the other; what they repeat is left out of the whole. */
export const alternatives = [
  'oauth2-proxy-m2m-dex-only.yaml',
  'istio-install-ambient.yaml',
  'cluster-local-gateway.yaml',
]

/** One whole installation: the corpus without its alternatives. */
export function installation(directory: string): CorpusObject[] {
  return readCorpus(directory).filter(({ file }) => !alternatives.includes(file))
}
