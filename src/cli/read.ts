// Files, directories and stdin -> the objects in them. Whatever cannot be read is reported, and nothing else is held back.
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { type Input, type Problem, type Reading, readText } from './documents.ts'
import { describe, identityOf } from './objects.ts'

/** The bytes of stdin. */
export type Stdin = AsyncIterable<Uint8Array | string>

/**
 * Reads what the paths name, in their order: a file, all .yaml, .yml and .json files below a directory (sorted), or `-`
 * for stdin. An object that is there twice is a problem, since only one of the two can be meant.
 */
export async function read(paths: readonly string[], stdin: Stdin): Promise<Reading> {
  const readings: Reading[] = []
  for (const path of paths) readings.push(...(path === '-' ? [await readStdin(stdin)] : readPath(path)))
  const inputs = readings.flatMap(reading => reading.inputs)
  const problems = readings.flatMap(reading => reading.problems)
  return { inputs, problems: [...problems, ...duplicatesIn(inputs)] }
}

async function readStdin(stdin: Stdin): Promise<Reading> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stdin) chunks.push(Buffer.from(chunk))
  return readBytes('stdin', Buffer.concat(chunks))
}

function readPath(path: string): Reading[] {
  const files = attempt(path, () => (statSync(path).isDirectory() ? manifestsBelow(path) : [path]))
  if (!Array.isArray(files)) return [files]
  if (files.length === 0) return [failure(path, 'has no .yaml, .yml or .json file below it; check the path')]
  return files.map(file => attempt(file, () => readBytes(file, readFileSync(file))))
}

/** Sorted by name in each directory, so that the order is that of kubectl and the same everywhere. */
function manifestsBelow(directory: string): string[] {
  const entries = readdirSync(directory, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  return entries.flatMap(entry => {
    const path = join(directory, entry.name)
    if (entry.isDirectory()) return manifestsBelow(path)
    return /\.(?:ya?ml|json)$/.test(entry.name) ? [path] : []
  })
}

function readBytes(file: string, bytes: Uint8Array): Reading {
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return failure(file, 'is no UTF-8 text; check that it is the right file, or save it as UTF-8')
  }
  const reading = readText(file, text)
  if (reading.problems.length === 0 || !/^kustomization\.ya?ml$/.test(basename(file))) return reading
  return failure(file, 'is for kustomize; give its result instead: kustomize build DIR | sidestep convert -f -')
}

const reasons: Record<string, string> = {
  ENOENT: 'is not there; check the path',
  EACCES: 'may not be read; check its permissions',
  EISDIR: 'is a directory; give a file',
}

function attempt<T>(path: string, action: () => T): T | Reading {
  try {
    return action()
  } catch (error) {
    const { code = '', message } = error as NodeJS.ErrnoException
    if (!code) throw error
    return failure(path, reasons[code] ?? `cannot be read: ${message}`)
  }
}

function failure(file: string, message: string): Reading {
  return { inputs: [], problems: [{ file, message }] }
}

function duplicatesIn(inputs: Input[]): Problem[] {
  const first = new Map<string, Input>()
  return inputs.flatMap(input => {
    const { object, positionOf } = input
    if (!object.metadata.name) return [] // The API server generates another name each time.
    const identity = identityOf(object)
    const other = first.get(identity)
    if (!other) {
      first.set(identity, input)
      return []
    }
    const { file, line } = other.positionOf('metadata.name')
    const message = `${describe(object)} is in ${file}:${line} already; remove one of the two`
    return [{ ...positionOf('metadata.name'), field: 'metadata.name', message }]
  })
}
