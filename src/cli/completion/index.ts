// What may come next on a command line: found by walking the commander program, so that a new command or option is completed
// without a word here. The scripts of the shells beside this file ask for it, and so does kubectl.
//
// No library: @bomb.sh/tab 0.0.22, the only one with an adapter for commander that is kept up, never completes the name of a
// file and has bash evaluate the words that are typed; omelette and tabtab know nothing of commander and edit startup files.
import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Argument, Command, Option } from 'commander'
import type { Io } from '../io.ts'

export interface Candidate {
  value: string
  description?: string | undefined
}

export interface Completions {
  candidates: Candidate[]
  /** What else the shell is to offer; by default nothing. */
  paths?: 'files' | 'directories' | undefined
}

/** The words after the program's name, up to the cursor; the last is the one that is being typed, and may be empty. */
export async function complete(program: Command, words: readonly string[], env: Io['env']): Promise<Completions> {
  const typed = words.at(-1) ?? ''
  const { command, operands, option, given } = walk(program, words.slice(0, -1))
  if (option) return startingWith(typed, await valuesOf(option, given, env))
  // Of `--output=js` the shells want `json`.
  const [, name = '', value = ''] = /^(--[^=]+)=(.*)$/.exec(typed) ?? []
  const assigned = optionsOf(command).find(({ long }) => long === name)
  if (assigned) return startingWith(value, await valuesOf(assigned, given, env))
  if (typed.startsWith('-')) return startingWith(typed, { candidates: flagsOf(command) })

  const last = command.registeredArguments.at(-1)
  const argument = command.registeredArguments[operands] ?? (last?.variadic ? last : undefined)
  if (argument) return startingWith(typed, await valuesOf(argument, given, env))
  const commands = operands > 0 ? [] : command.createHelp().visibleCommands(command)
  const named = commands.map(each => ({ value: each.name(), description: each.summary() || each.description() }))
  return startingWith(typed, { candidates: command.commands.length > 0 ? named : flagsOf(command) })
}

/** Where a command line has come to. */
interface Place {
  command: Command
  operands: number
  /** The option whose value comes next. */
  option: Option | undefined
  /** The values of options, by their names. */
  given: Map<string, string>
}

function walk(program: Command, words: readonly string[]): Place {
  const place: Place = { command: program, operands: 0, option: undefined, given: new Map() }
  for (const word of words) {
    const { command, option } = place
    if (option) {
      place.given.set(option.name(), word)
      place.option = undefined
    } else if (word.startsWith('-') && word !== '-') {
      const [, name, , value] = /^(--?[^=]+)(=(.*))?$/.exec(word) ?? []
      const found = optionsOf(command).find(({ long, short }) => name === long || name === short)
      if (found && value !== undefined) place.given.set(found.name(), value)
      else if (found?.required) place.option = found
    } else if (word !== 'help' || command.commands.length === 0) {
      // `help COMMAND` goes on as if nothing had been said yet.
      const next = command.commands.find(each => each.name() === word)
      if (next && place.operands === 0) place.command = next
      else place.operands++
    }
  }
  return place
}

const optionsOf = (command: Command): readonly Option[] => command.createHelp().visibleOptions(command)

function flagsOf(command: Command): Candidate[] {
  return optionsOf(command).flatMap(({ long, short, description }) =>
    [long, short].flatMap(value => (value ? [{ value, description }] : [])),
  )
}

function startingWith(typed: string, { candidates, paths }: Completions): Completions {
  const isMeant = ({ value }: Candidate) => value.toLowerCase().startsWith(typed.toLowerCase())
  return { candidates: candidates.filter(isMeant), paths }
}

// Values -----------------------------------------------------------------------------------------------------------

/** By the name of an option or an argument: what neither its choices nor `<file>` or `<dir>` say. */
const sources: Record<string, (given: Place['given'], env: Io['env']) => Promise<Candidate[]>> = {
  async code() {
    const { catalogue } = await import('../../translate/diagnostics.ts')
    return Object.entries(catalogue).map(([value, { message }]) => ({ value, description: message }))
  },
  async profile() {
    const { profiles } = await import('../../translate/profiles.ts')
    return Object.keys(profiles).map(value => ({ value }))
  },
  context: contextsIn,
}

async function valuesOf(asked: Option | Argument, given: Place['given'], env: Io['env']): Promise<Completions> {
  if (asked.argChoices) return { candidates: asked.argChoices.map(value => ({ value })) }
  const source = sources[asked.name()]
  if (source) return { candidates: await source(given, env) }
  const [, kind] = ('flags' in asked && /<(file|path|dir)>/.exec(asked.flags)) || []
  return { candidates: [], ...(kind && { paths: kind === 'dir' ? 'directories' : 'files' }) }
}

/** The contexts of the kubeconfig files that the command would read; the Kubernetes client would take a second to load. */
async function contextsIn(given: Place['given'], env: Io['env']): Promise<Candidate[]> {
  const { parse } = await import('yaml')
  const own = join(env.HOME ?? homedir(), '.kube/config')
  const files = given.has('kubeconfig') ? [given.get('kubeconfig') ?? ''] : (env.KUBECONFIG || own).split(delimiter)
  const names = files.flatMap(file => {
    try {
      const { contexts } = parse(readFileSync(file, 'utf8')) as { contexts: { name: string }[] }
      return contexts.map(({ name }) => name)
    } catch {
      return [] // Not there or no kubeconfig: the command itself will say so.
    }
  })
  return [...new Set(names)].map(value => ({ value }))
}

// Shells -----------------------------------------------------------------------------------------------------------

/** Printed as programs made with cobra do, such as kubectl: a line for each, then what the shell is to do besides. */
export function toCobra({ candidates, paths }: Completions): string {
  const lines = candidates.map(({ value, description }) => (description ? `${value}\t${description}` : value))
  return [...lines, `:${paths ? { files: 0, directories: 16 }[paths] : 4}`, ''].join('\n')
}

export function completionScript(shell: 'bash' | 'zsh' | 'fish'): string {
  return readFileSync(new URL(`sidestep.${shell}`, import.meta.url), 'utf8')
}
