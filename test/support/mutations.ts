// Checks a property: breaks a copy of the translator, one way at a time, and wants the property to see each.
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const source = resolve(import.meta.dirname, '../..')
const atOnce = 2

export interface Mutation {
  /** What is broken, as a sentence. */
  name: string
  /** Below the folder of its table. */
  file: string
  /** The text, which occurs there once, and what stands in its place. */
  from: string
  to: string
}

export interface Table<M extends Mutation> {
  mutations: M[]
  /** Where the files are that are broken. */
  folder: string
  /** The folder of the property. */
  property: string
}

/** What came of a mutation: the rest of its row, and whether it is what was expected. */
export interface Answer {
  cells: string
  isExpected: boolean
}

/** The mutations that no longer name a text that is there, and once. */
export function outdated<M extends Mutation>({ mutations, folder }: Table<M>): M[] {
  return mutations.filter(({ file, from }) => readFileSync(join(source, folder, file), 'utf8').split(from).length !== 2)
}

/** Prints a row for each mutation whose name holds the first argument, or for all. `ask` gets the folder that is broken. */
export async function runMutations<M extends Mutation>(
  table: Table<M>,
  heads: string,
  ask: (copy: string, mutation: M) => Promise<Answer>,
): Promise<void> {
  const wanted = table.mutations.filter(({ name }) => name.includes(process.argv[2] ?? ''))
  const elsewhere = outdated({ ...table, mutations: wanted })
  for (const { name, file } of elsewhere) console.error(`${name}: the text is not, or not once, in ${file}`)
  if (elsewhere.length > 0) process.exit(1)

  const root = mkdtempSync(join(tmpdir(), 'sidestep-mutations-'))
  process.on('exit', () => rmSync(root, { recursive: true }))
  symlinkSync(join(source, 'node_modules'), join(root, 'node_modules'))

  console.log(`| broken | ${heads} |\n|---|---|---|`)
  const waiting = [...wanted]
  let missed = 0
  const work = async () => {
    for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
      const copy = brokenCopy(mutation, table, root)
      const { cells, isExpected } = await ask(copy, mutation)
      rmSync(copy, { recursive: true })
      if (!isExpected) missed += 1
      console.log(`| ${mutation.name} | ${isExpected ? '' : 'NOT SEEN: '}${cells} |`.replaceAll('||', '\\|\\|'))
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  console.log(`\n${wanted.length - missed} of ${wanted.length} mutations behave as expected`)
  process.exitCode = missed === 0 ? 0 : 1
}

/** A copy of what the property needs, with one text replaced. */
function brokenCopy<M extends Mutation>({ file, from, to }: M, { folder, property }: Table<M>, root: string): string {
  const copy = mkdtempSync(join(root, 'mutant-'))
  for (const part of ['src/apis', 'src/translate', property, 'package.json'])
    cpSync(join(source, part), join(copy, part), { recursive: true })
  const path = join(copy, folder, file)
  writeFileSync(path, readFileSync(path, 'utf8').split(from).join(to))
  return copy
}

/** What a script prints in the copy, up to where it is enough. */
export async function outputOf(
  copy: string,
  script: string[],
  { env = {}, isEnough = () => false }: { env?: Record<string, string>; isEnough?: (output: string) => boolean } = {},
): Promise<string> {
  const child = spawn(process.execPath, ['--import=tsx', ...script], {
    cwd: copy,
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  for await (const chunk of child.stdout) {
    output += chunk
    if (isEnough(output)) child.kill()
  }
  return output
}
