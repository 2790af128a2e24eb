// What --help says of every command there is, so that a new one is held to the same.
import type { Command } from 'commander'
import t from 'tap'
import { leavesOf, programOf, sectionsBelow } from './manual.ts'
import { sidestep } from './memory.ts'

const commands = leavesOf(programOf())
const pathOf = (command: Command): string[] => (command.parent ? [...pathOf(command.parent), command.name()] : [])

t.test('every command says what it does, how it is used, and what its exit codes mean', async t => {
  t.ok(commands.length >= 8)
  for (const command of commands) {
    const path = pathOf(command).join(' ')
    t.match(command.summary(), /^[a-z][^.]+$/, `${path}: a summary, no sentence`)
    t.match(command.description(), /^[A-Z][\s\S]+\.$/, `${path}: a description in sentences`)
    for (const option of command.options) t.match(option.description, /^[^.]+[^. ]/, `${path} ${option.flags}`)
    const sections = new Map(sectionsBelow(command).map(section => [section.heading, section]))
    t.ok(sections.get('Examples')?.commands.length, `${path}: Examples`)
    const codes = sections.get('Exit codes')?.entries ?? []
    t.ok(codes.length >= 2, `${path}: Exit codes`)
    for (const { term, text } of codes) t.match([term, text], [/^\d+$/, /./], path)
    const { stdout, code } = await sidestep([...pathOf(command), '--help'])
    t.match(stdout, /\nExamples:\n {2}[\s\S]*\n\nExit codes:\n {2}0 {2}/, path)
    t.equal(code, 0)
  }
})

t.test('every example is a command line of its command', async t => {
  for (const command of commands) {
    const path = pathOf(command).join(' ')
    const lines = sectionsBelow(command).flatMap(section => section.commands)
    for (const line of lines) t.equal(await commandIn(line), path, line)
  }
  await t.rejects(commandIn('sidestep audit --no-such-option'), 'an example that does not parse is found')
  await t.rejects(commandIn('sidestep audit -o xml'))
})

/** The command that the program takes a line for; nothing is carried out. */
async function commandIn(line: string): Promise<string> {
  const program = programOf()
  let taken = ''
  for (const command of leavesOf(program))
    command.action(() => {
      taken = pathOf(command).join(' ')
    })
  const [, words = ''] = /(?:^|\| |\()sidestep ([^|>)]+)/.exec(line) ?? []
  await program.parseAsync(words.trim().split(' '), { from: 'user' })
  return taken
}

// Where the same option means something else, since a policy has one namespace and serve judges for others.
const meanings: Record<string, string[]> = {
  '--namespace': ['explain-policy'],
  '--snapshot': ['serve'],
  '--output': ['revert'],
  '--verbose': ['audit', 'convert'],
}

t.test('an option has the same letter, value and words in every command', async t => {
  const first = new Map<string, { flags: string; description: string }>()
  for (const command of commands)
    for (const { long, flags, description } of command.options) {
      const path = pathOf(command).join(' ')
      const known = first.get(long ?? '') ?? { flags, description }
      t.equal(flags, known.flags, `${path} ${long}`)
      if (meanings[long ?? '']?.includes(path)) continue
      t.equal(description, known.description, `${path} ${long}`)
      first.set(long ?? '', known)
    }
})

t.test('options stand in the same order in every command', async t => {
  const orders = commands.map(command => ({ path: pathOf(command).join(' '), names: command.options.map(o => o.long) }))
  for (const a of orders)
    for (const b of orders) {
      const shared = a.names.filter(name => b.names.includes(name))
      t.strictSame(
        shared,
        b.names.filter(name => a.names.includes(name)),
        `${a.path} and ${b.path}`,
      )
    }
})

t.test('sidestep --help lists commands in groups', async t => {
  const { stdout } = await sidestep(['--help'])
  t.match(stdout, /\nJudge:\n {2}audit [\s\S]*\n\nWrite files:\n {2}convert [\s\S]*\n\nIn a cluster:\n {2}migrate /)
  t.match(stdout, /\nExit codes:\n[\s\S]*\nEnvironment:\n[\s\S]*\nFiles:\n/)
  t.notMatch(stdout, '__complete')
})
