// Checks the properties of never-looser.ts: breaks the translation of policies, one way at a time, and wants them to see it.
//   npm run test:enforcement-mutations             all of them
//   npm run test:enforcement-mutations -- ports    those with "ports" in their name
import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Mutation, mutations } from './mutations-table.ts'

const source = resolve(import.meta.dirname, '../..')
const runs = process.env.SIDESTEP_RUNS ?? '3000'

const root = mkdtempSync(join(tmpdir(), 'sidestep-policies-'))
process.on('exit', () => rmSync(root, { recursive: true }))
symlinkSync(join(source, 'node_modules'), join(root, 'node_modules'))

const waiting = mutations.filter(({ name }) => name.includes(process.argv[2] ?? ''))
const count = waiting.length
let missed = 0
console.log('| broken | seen by | after |\n|---|---|---|')
await Promise.all([work(), work()])
console.log(`\n${count - missed} of ${count} mutations are seen`)
process.exitCode = missed === 0 ? 0 : 1

async function work(): Promise<void> {
  for (let mutation = waiting.shift(); mutation; mutation = waiting.shift()) {
    const verdict = await verdictOf(mutation)
    if (!verdict) missed += 1
    const [property = 'NOT SEEN', after = runs] = verdict ?? []
    console.log(`| ${mutation.name} | ${property} | ${after} |`)
  }
}

/** The property that fails and after how many sets; none when all hold. Breaks a copy of what they need. */
async function verdictOf({ name, file, from, to }: Mutation): Promise<[string, string] | undefined> {
  const copy = mkdtempSync(join(root, 'mutant-'))
  for (const part of ['src/apis', 'src/translate', 'test/enforcement', 'package.json'])
    cpSync(join(source, part), join(copy, part), { recursive: true })
  const path = join(copy, 'src/translate', file)
  const parts = readFileSync(path, 'utf8').split(from)
  if (parts.length !== 2) throw new Error(`${name}: the text is not, or not once, in ${file}`)
  writeFileSync(path, parts.join(to))
  const output = await outputOf(copy)
  rmSync(copy, { recursive: true })
  const [, property, index] = /SIDESTEP_PATH=1\/(\w+)\/(\d+)/.exec(output) ?? []
  return property && index ? [property, String(Number(index) + 1)] : undefined
}

async function outputOf(cwd: string): Promise<string> {
  const child = spawn(process.execPath, ['--import=tsx', 'test/enforcement/never-looser-1.test.ts'], {
    cwd,
    env: { ...process.env, SIDESTEP_RUNS: runs, SIDESTEP_SEED: '1', SIDESTEP_SHRINK: 'no' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  for await (const chunk of child.stdout) {
    output += chunk
    // The first that fails is enough.
    if (output.includes('SIDESTEP_PATH=')) child.kill()
  }
  return output
}
