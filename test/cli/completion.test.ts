// Completion: what is offered after which words, and the scripts in real shells.
import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import t, { type Test } from 'tap'
import { commandLine } from '../../src/cli/main.ts'
import { catalogue } from '../../src/translate/diagnostics.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { sidestep } from './memory.ts'
import { noTerminal, Terminal } from './terminal.ts'

/** The values that are offered, and last what the shell is to do besides. */
async function offered(words: string[], env: Record<string, string> = {}): Promise<string[]> {
  const { stdout, stderr, code } = await sidestep(['__complete', '--', ...words], { env })
  t.strictSame([stderr, code, stdout.endsWith('\n')], ['', 0, true])
  return stdout
    .trimEnd()
    .split('\n')
    .map(line => line.replace(/\t.*/, ''))
}

const [files, nothing, directories] = [':0', ':4', ':16']

t.test('every command and every option is offered, with what it is for', async t => {
  const { program } = commandLine({ ...process, env: {} })
  const visit = async (command: Command, words: string[]) => {
    const help = command.createHelp()
    for (const each of help.visibleCommands(command)) {
      t.ok((await offered([...words, each.name().slice(0, -1)])).includes(each.name()), each.name())
      if (each.name() !== 'help') await visit(each, [...words, each.name()])
    }
    const flags = help.visibleOptions(command).flatMap(({ long, short }) => [long, short].filter(Boolean))
    t.strictSame(await offered([...words, '-']), [...flags, nothing], [...words, '-'].join(' '))
  }
  await visit(program, [])
  const { stdout } = await sidestep(['__complete', '--', 'conv'])
  t.equal(stdout, 'convert\ttranslate manifests on stdin or in files\n:4\n')
  t.notOk((await offered([''])).includes('__complete'))
})

t.test('what is offered depends on what stands before', async t => {
  const cases: [words: string[], offers: string[]][] = [
    [
      ['audit', '-o', ''],
      ['table', 'json', 'sarif', 'junit', 'html', nothing],
    ],
    [
      ['audit', '--output', 'j'],
      ['json', 'junit', nothing],
    ],
    [
      ['audit', '--output=j'],
      ['json', 'junit', nothing],
    ],
    [
      ['audit', '-f', 'a b', '--fail-on', 'de'],
      ['denial', nothing],
    ],
    [
      ['audit', '--profile', ''],
      [...Object.keys(profiles), nothing],
    ],
    [['audit', '-f', ''], [files]],
    [['audit', '--settings', 'x'], [files]],
    [['convert', '--settings=x'], [files]],
    [['convert', '--snapshot', ''], [directories]],
    [['revert', '-n', ''], [nothing]],
    [
      ['audit', '--verbose', '--fail'],
      ['--fail-on', nothing],
    ],
    [
      ['explain', ''],
      [...Object.keys(catalogue), nothing],
    ],
    [
      ['explain', 'vs-faul'],
      ['VS-FAULT', nothing],
    ],
    [['explain', 'VS-FAULT', 'VS-'], [nothing]],
    [
      ['completion', ''],
      ['bash', 'zsh', 'fish', nothing],
    ],
    [
      ['generate', ''],
      ['policies', 'help', nothing],
    ],
    [
      ['generate', 'help', 'p'],
      ['policies', nothing],
    ],
    [
      ['generate', 'policies', '--prof'],
      ['--profile', nothing],
    ],
    [
      ['help', 'rever'],
      ['revert', nothing],
    ],
    [
      ['convert', '-o', 'convert', '-o', 'y'],
      ['yaml', nothing],
    ],
    [['no-such-command', '--x', 'y', ''], [nothing]],
    [['audit', '--no-such-option='], [nothing]],
  ]
  for (const [words, offers] of cases) t.strictSame(await offered(words), offers, words.join(' '))
})

t.test('contexts are those of the kubeconfig that would be read', async t => {
  const home = t.testdir({
    '.kube': { config: kubeconfig('own') },
    one: kubeconfig('a', 'b'),
    two: kubeconfig('b', 'c'),
    broken: '{',
  })
  const path = (name: string) => join(home, name)
  const asked = ['audit', '--context', '']
  t.strictSame(await offered(asked, { HOME: home }), ['own', nothing])
  const several = [path('one'), path('missing'), path('broken'), path('two')].join(delimiter)
  t.strictSame(await offered(asked, { HOME: home, KUBECONFIG: several }), ['a', 'b', 'c', nothing])
  t.strictSame(await offered(['audit', '--kubeconfig', path('two'), '--context', 'c'], { HOME: home }), ['c', nothing])
  t.strictSame(await offered(['audit', `--kubeconfig=${path('two')}`, '--context='], { HOME: home }), [
    'b',
    'c',
    nothing,
  ])
})

// In each shell the same is typed; then the command says with which words it was called.
const arn = 'arn:aws:eks:eu-west-1:1:cluster/'
const typed: [keys: string, words: string | RegExp][] = [
  ['sidestep conv\t--outp\tjs\t', '<convert><--output><json>'],
  ['sidestep audit --output=jso\t', '<audit><--output=json>'],
  ['sidestep explain VS-FAU\t', '<explain><VS-FAULT>'],
  ['sidestep convert -f manif\t', '<convert><-f><manifests.yaml>'],
  // zsh takes the slash away again.
  ['sidestep convert --snapshot clu\t', /<convert><--snapshot><cluster\/?>/],
  [`sidestep audit --context ${arn}b\t`, `<audit><--context><${arn}blue>`],
]

/** Also said by whatever it was completed to. */
const called = /called with <.*>\r?\n/g

const shells = {
  bash: ['bash --norc --noprofile -i', 'source <(sidestep completion bash)'],
  zsh: ['zsh -f -i', 'autoload -U compinit; compinit -u; source <(sidestep completion zsh)'],
  fish: ['fish --no-config -i', 'sidestep completion fish | source'],
} as const

for (const [shell, [command, setUp]] of Object.entries(shells)) {
  const skip = spawnSync(shell, ['--version']).error ? `there is no ${shell}` : (noTerminal() ?? false)
  t.test(`${shell} completes commands, options, values, files and contexts`, { skip }, async t => {
    const directory = workplace(t)
    const env = { PATH: `${join(directory, 'bin')}:${process.env.PATH}`, HOME: directory, TERM: 'xterm' }
    const terminal = new Terminal(`cd ${directory} && exec ${command}`, env)
    t.teardown(() => terminal.kill())
    terminal.type(`${setUp}; sidestep ready\n`)
    t.ok(await terminal.shows(called), `${shell} has read the script`)
    for (const [i, [keys, words]] of typed.entries()) {
      terminal.type(`${keys}\n`)
      t.ok(await terminal.shows(called, i + 2), `${JSON.stringify(keys)} is a command`)
      t.match(terminal.screen, words, `${JSON.stringify(keys)} gives ${words}`)
    }
    if (!t.passing()) t.comment(JSON.stringify(terminal.screen))
  })
}

/** A directory with a command `sidestep` that completes as the real one, and else only says how it was called. */
function workplace(t: Test): string {
  const entry = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
  const directory = t.testdir({
    bin: {},
    cluster: {},
    'clusters.yaml': '',
    'manifests.yaml': '',
    '.kube': { config: kubeconfig(`${arn}blue`, `${arn}green`) },
  })
  const script = `#!/bin/sh
case $1 in
completion|__complete) exec '${process.execPath}' --import='${import.meta.resolve('tsx')}' '${entry}' "$@" ;;
esac
printf 'called with '; printf '<%s>' "$@"; echo
`
  mkdirSync(join(directory, 'bin'), { recursive: true })
  writeFileSync(join(directory, 'bin/sidestep'), script, { mode: 0o755 })
  return directory
}

function kubeconfig(...contexts: string[]): string {
  return JSON.stringify({ apiVersion: 'v1', kind: 'Config', contexts: contexts.map(name => ({ name })) })
}
