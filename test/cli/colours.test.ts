// Colours and other escapes: on a terminal, and nowhere else. Whatever a new command prints, its help and its mistakes are
// looked at by themselves; what it does belongs into the table below.
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import t from 'tap'
import { leavesOf, programOf } from './manual.ts'
import { type Surroundings, sidestep } from './memory.ts'
import { noTerminal, Terminal } from './terminal.ts'

const example = 'examples/kubeflow'
const broken = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: 1}\n'
const denied = `apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: { name: a, namespace: team-a }
spec:
  hosts: ['*']
  gateways: [kubeflow/kubeflow-gateway]
  http: [{ fault: { abort: { httpStatus: 500, percentage: { value: 50 } } }, route: [{ destination: { host: a } }] }]
`

/** Each with a case in which it has something to colour, if it ever has. */
const cases: Record<string, { args: string[]; stdin?: string; isColoured?: true }[]> = {
  audit: [
    { args: ['-f', example], isColoured: true },
    { args: ['-f', '-'], stdin: broken, isColoured: true },
    ...['json', 'html'].map(format => ({ args: ['-f', example, '-o', format] })),
  ],
  'explain-policy': [
    { args: ['ns-owner-access-istio', '-n', 'team-a', '-f', example], isColoured: true },
    { args: ['ns-owner-access-istio', '-n', 'team-a', '-f', example, '-o', 'json'] },
    { args: ['a', '-f', '-'], stdin: broken, isColoured: true },
  ],
  explain: [{ args: [] }, { args: ['VS-FAULT'] }, { args: ['VS-FALT'] }],
  convert: [
    { args: ['-f', '-', '--verbose'], stdin: denied, isColoured: true },
    { args: ['-f', example, '--verbose', '-o', 'json'], isColoured: true },
    { args: ['-f', '-'], stdin: broken, isColoured: true },
  ],
  revert: [{ args: ['-f', example] }, { args: ['-f', '-'], stdin: broken, isColoured: true }],
  migrate: [{ args: ['team-a', '--kubeconfig', '/dev/null/none'] }],
  'generate policies': [{ args: ['--profile', 'kubeflow'] }],
  completion: [{ args: ['bash'] }, { args: ['zsh'] }, { args: ['fish'] }],
  serve: [{ args: ['--snapshot', '/dev/null/none'], isColoured: true }],
}

const commands = leavesOf(programOf())
const pathOf = (command: Command): string[] => (command.parent ? [...pathOf(command.parent), command.name()] : [])

const escapes = '\u001b'
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for.
const colour = /\u001b\[[\d;]*m/
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what is looked for.
const written = /[^\n]*\r\u001b\[K/g

for (const command of commands) {
  const path = pathOf(command)
  const own = cases[path.join(' ')] ?? []
  t.test(`${path.join(' ')} prints escapes on a terminal only`, async t => {
    for (const { args, stdin = '', isColoured } of [{ args: ['--help'] }, { args: ['--no-such-option'] }, ...own]) {
      const print = async (surroundings: Surroundings) => {
        const { stdout, stderr } = await sidestep([...path, ...args], { stdin, ...surroundings })
        return stdout + stderr
      }
      const line = args.join(' ')
      const plain = await print({})
      t.ok(plain, `${line} prints something`)
      t.notMatch(plain, escapes, `${line} in a pipe`)
      t.equal(await print({ isTTY: true, env: { TERM: 'dumb' } }), plain, `${line} on a dumb terminal`)
      const unwilling = await print({ isTTY: true, env: { NO_COLOR: '1' } })
      t.equal(unwilling.replaceAll(written, ''), plain, `${line} with NO_COLOR`)

      const onTerminal = await print({ isTTY: true })
      t.equal(colour.test(onTerminal), isColoured === true, `${line} on a terminal`)
      const forced = await print({ env: { FORCE_COLOR: '1', NO_COLOR: '1' } })
      t.equal(forced, onTerminal.replaceAll(written, ''), `${line} with FORCE_COLOR in a pipe`)
      t.notMatch(await print({ isTTY: true, env: { FORCE_COLOR: '0' } }), colour, `${line} with FORCE_COLOR=0`)
    }
  })
}

t.test('every case belongs to a command', async t => {
  const paths = commands.map(command => pathOf(command).join(' '))
  for (const path of Object.keys(cases)) t.ok(paths.includes(path), path)
})

t.test(
  'on a real terminal there are colours, and of progress nothing is left',
  { skip: noTerminal() ?? false },
  async t => {
    const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
    const command = `'${process.execPath}' --import=tsx '${entry}' audit -f ${example}`
    const printed = async (env: Record<string, string>) => {
      const terminal = new Terminal(command, { PATH: process.env.PATH, ...env })
      t.teardown(() => terminal.kill())
      await terminal.end()
      return terminal.screen.replaceAll('\r\n', '\n')
    }
    const { stdout } = await sidestep(['audit', '-f', example])
    const coloured = await printed({ TERM: 'xterm-256color' })
    t.match(coloured, colour)
    t.match(coloured, /judging \d+ %/)
    t.equal(coloured.replaceAll(written, '').replaceAll(new RegExp(colour, 'g'), ''), stdout)
    t.equal((await printed({ TERM: 'xterm-256color', NO_COLOR: '1' })).replaceAll(written, ''), stdout)
    t.equal(await printed({ TERM: 'dumb' }), stdout)
  },
)
