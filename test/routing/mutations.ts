// Checks the property: breaks the translator, one way at a time, and wants the property of equivalence.ts to see each. A
// mutation that nobody sees is a hole in the generator, in the requests or in the evaluators.
//   npm run test:mutations             all of them
//   npm run test:mutations -- R3       those with R3 in their name
import { spawn } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Mutation, mutations, shows, type Verdict } from './mutations-table.ts'

const source = resolve(import.meta.dirname, '../..')
const atOnce = 2

const wanted = mutations.filter(({ name }) => name.includes(process.argv[2] ?? ''))
const elsewhere = wanted.filter(mutation => textOf(mutation).split(mutation.from).length !== 2)
for (const { name, file } of elsewhere) console.error(`${name}: the text is not, or not once, in ${file}`)
if (elsewhere.length > 0) process.exit(1)

const root = mkdtempSync(join(tmpdir(), 'sidestep-mutations-'))
process.on('exit', () => rmSync(root, { recursive: true }))
symlinkSync(join(source, 'node_modules'), join(root, 'node_modules'))

console.log('| broken | seen after | counterexample |\n|---|---|---|')
const waiting = [...wanted]
let missed = 0
await Promise.all(Array.from({ length: atOnce }, work))
console.log(`\n${wanted.length - missed} of ${wanted.length} mutations behave as expected`)
process.exitCode = missed === 0 ? 0 : 1

async function work(): Promise<void> {
  for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
    const verdict = await verdictOf(mutation)
    const { expected = 'rerouted', because } = mutation
    const isExpected = verdict.shows === expected
    if (!isExpected) missed += 1
    const seen = verdict.shows === 'rerouted' ? String(verdict.runs) : `${verdict.shows} (${verdict.runs})`
    const told = [verdict.kind, because].filter(Boolean).join('; ')
    console.log(
      `| ${mutation.name} | ${isExpected ? seen : `NOT SEEN: ${seen}`} | ${told} |`.replaceAll('||', '\\|\\|'),
    )
  }
}

function textOf({ file }: Mutation, from = source): string {
  return readFileSync(pathOf(file, from), 'utf8')
}

function pathOf(file: string, from: string): string {
  return join(from, 'src/translate/virtual-service', file)
}

/** Copies what the property needs, breaks the copy, and asks it. */
async function verdictOf(mutation: Mutation): Promise<Verdict> {
  const copy = join(root, String(mutations.indexOf(mutation)))
  for (const part of ['src/apis', 'src/translate', 'test/routing']) {
    mkdirSync(join(copy, part), { recursive: true })
    cpSync(join(source, part), join(copy, part), { recursive: true })
  }
  cpSync(join(source, 'package.json'), join(copy, 'package.json'))
  const { file, from, to, features, seed = 1, runs = 2000, expected = 'rerouted' } = mutation
  writeFileSync(pathOf(file, copy), textOf(mutation).split(from).join(to))
  const verdict = await asked(copy, [source, features.join(), String(seed), String(runs), expected])
  rmSync(copy, { recursive: true })
  return verdict
}

async function asked(copy: string, args: string[]): Promise<Verdict> {
  const child = spawn(process.execPath, ['--import=tsx', 'test/routing/mutant.ts', ...args], {
    cwd: copy,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  for await (const chunk of child.stdout) output += chunk
  const { shows: showed, runs, kind }: Partial<Verdict> = output === '' ? {} : JSON.parse(output)
  return { shows: showed ?? shows[3], runs: runs ?? 0, kind: kind ?? 'it did not run' }
}
