// The manual: docs/cli.md and the pages of man, both read from the commander program, so that they say what --help says.
//
// The roff is written here: marked-man 2.1.1 makes a bullet list of options, and puts today's date on every page.
import type { EventEmitter } from 'node:events'
import type { Command } from 'commander'
import { commandLine } from '../../src/cli/main.ts'
import { ownVersion } from '../../src/cli/version.ts'

export interface Page {
  /** `sidestep generate policies`. */
  name: string
  summary: string
  description: string
  /** What follows the name on a command line. */
  usage: string
  sections: Section[]
}

interface Section {
  heading: string
  /** The terms of a list. */
  entries: Entry[]
  /** Or commands, one a line. */
  commands: string[]
}

interface Entry {
  term: string
  text: string
  /** The name of its page. */
  page?: string
}

/** All files of the manual. */
export function manual(): Map<string, string> {
  const all = pages()
  const roff = all.map(page => [`man/${fileOf(page.name)}.1`, toRoff(page, all)] as const)
  return new Map([['docs/cli.md', toMarkdown(all)], ...roff])
}

// Pages ------------------------------------------------------------------------------------------------------------

/** `sidestep` first, then each command that does something. */
export function pages(): Page[] {
  const program = programOf()
  return [program, ...leavesOf(program)].map(pageOf)
}

export function programOf(): Command {
  const nowhere = { write: () => true }
  return commandLine({ stdin: process.stdin, stdout: nowhere, stderr: nowhere, env: {} }).program
}

/** The commands that do something, without `help`, which commander adds. */
export function leavesOf(command: Command): Command[] {
  const own = command
    .createHelp()
    .visibleCommands(command)
    .filter(each => command.commands.includes(each))
  return own.length > 0 ? own.flatMap(leavesOf) : [command]
}

function pageOf(command: Command): Page {
  const help = command.createHelp()
  const lists: [heading: string, entries: Entry[]][] = [
    ...(command.parent ? [] : commandsOf(command)),
    [
      'Arguments',
      help.visibleArguments(command).map(each => ({ term: `<${each.name()}>`, text: help.argumentDescription(each) })),
    ],
    [
      'Options',
      help.visibleOptions(command).map(each => ({ term: help.optionTerm(each), text: help.optionDescription(each) })),
    ],
  ]
  return {
    name: nameOf(command),
    summary: command.summary() || command.description(),
    description: command.description().replaceAll('\n', ' '),
    usage: command.usage(),
    sections: [
      ...lists
        .filter(([, entries]) => entries.length > 0)
        .map(([heading, entries]) => ({ heading, entries, commands: [] })),
      ...sectionsBelow(command),
    ],
  }
}

function nameOf(command: Command): string {
  return command.parent ? `${nameOf(command.parent)} ${command.name()}` : command.name()
}

/** In the groups of --help. */
function commandsOf(program: Command): [heading: string, entries: Entry[]][] {
  const groups = new Map<string, Entry[]>()
  for (const child of program.commands)
    for (const leaf of leavesOf(program).filter(each => each === child || each.parent === child)) {
      const heading = (child.helpGroup() || 'Commands:').replace(/:$/, '')
      const page = nameOf(leaf)
      const entry = { term: page.replace('sidestep ', ''), text: leaf.summary(), page }
      groups.set(heading, [...(groups.get(heading) ?? []), entry])
    }
  return [...groups]
}

/** What addHelpText has put below the options: a heading and a colon, then indented lines. */
export function sectionsBelow(command: Command): Section[] {
  let text = ''
  // A Command is one, which its declared type does not say.
  const events = command as unknown as EventEmitter
  events.emit('afterHelp', { error: false, command, write: (more: string) => (text += more) })
  const blocks = [...text.matchAll(/^(\S.*):\n((?: {2}.*\n)+)/gm)]
  return blocks.map(([, heading = '', body = '']) => {
    const lines = body
      .trimEnd()
      .split('\n')
      .map(line => line.slice(2))
    if (heading === 'Examples') return { heading, entries: [], commands: lines }
    const entries = lines.map(line => {
      const [term = '', ...text] = line.split(/ {2,}/)
      return { term, text: text.join(' ') }
    })
    return { heading, entries, commands: [] }
  })
}

// docs/cli.md ------------------------------------------------------------------------------------------------------

function toMarkdown([program, ...commands]: Page[]): string {
  const blocks = [
    '# Command line',
    '<!-- npm run man writes this page and the pages of man from the program itself: src/cli/main.ts, options.ts and help.ts. -->',
    `${program?.description} As a plugin of kubectl it is called \`kubectl sidestep\` ([install.md](install.md#command-line)).`,
    ...(program?.sections ?? []).flatMap(section => [`## ${section.heading}`, bodyOf(section)]),
    ...commands.flatMap(({ name, usage, description, sections }) => [
      `## ${name}`,
      inMarkdown(description),
      `\`\`\`text\n${name} ${usage}\n\`\`\``,
      ...sections.flatMap(section => [`**${section.heading}**`, bodyOf(section)]),
    ]),
  ]
  return `${blocks.join('\n\n')}\n`
}

function bodyOf({ entries, commands }: Section): string {
  if (commands.length > 0)
    return `<!-- test: skip because test/cli/help.test.ts parses it -->\n\`\`\`sh\n${commands.join('\n')}\n\`\`\``
  const rows = entries.map(({ term, text, page }) => {
    const code = `\`${term.replaceAll('|', '\\|')}\``
    return `| ${page ? `[${code}](#${fileOf(page)})` : code} | ${inMarkdown(text)} |`
  })
  return ['| | |', '| --- | --- |', ...rows].join('\n')
}

const inMarkdown = (text: string) => text.replace(/[<|*_]/g, '\\$&')

const fileOf = (name: string) => name.replaceAll(' ', '-')

// man --------------------------------------------------------------------------------------------------------------

/** With man's own names of sections, in its order: https://man7.org/linux/man-pages/man7/man-pages.7.html */
function toRoff({ name, summary, usage, description, sections }: Page, all: Page[]): string {
  const ofHeading = (...headings: string[]) => sections.filter(({ heading }) => headings.includes(heading))
  const known = ['Arguments', 'Options', 'Exit codes', 'Environment', 'Files', 'Examples']
  const lists = [
    ...sections.filter(({ heading }) => !known.includes(heading)),
    ...known.flatMap(heading => ofHeading(heading)),
  ]
  const others = all.filter(page => page.name !== name && (name === 'sidestep' || page.name === 'sidestep'))
  return [
    `.TH ${fileOf(name).toUpperCase()} 1 "" "sidestep ${ownVersion()}" "sidestep"`,
    '.SH NAME',
    `${inRoff(fileOf(name))} \\- ${inRoff(summary)}`,
    '.SH SYNOPSIS',
    `.B ${inRoff(name)}`,
    termInRoff(usage),
    '.SH DESCRIPTION',
    inRoff(description),
    ...lists.flatMap(sectionInRoff),
    '.SH SEE ALSO',
    others.map(page => `.BR ${inRoff(fileOf(page.name))} (1)`).join(' ,\n'),
    '',
  ].join('\n')
}

function sectionInRoff({ heading, entries, commands }: Section): string[] {
  const title = heading === 'Exit codes' ? 'EXIT STATUS' : heading.toUpperCase()
  const list = entries.flatMap(({ term, text }) => ['.TP', termInRoff(term), inRoff(text)])
  const code = commands.length > 0 ? ['.EX', ...commands.map(inRoff), '.EE'] : []
  return [`.SH ${title}`, ...list, ...code]
}

/** Words as they are typed are bold, and what stands for something is italic. */
function termInRoff(term: string): string {
  return term
    .split(/(<[^>]+>|\[[^\]]+\])/)
    .map(part => {
      const placeholder = /^<(.+)>$/.exec(part)?.[1]
      if (placeholder) return `\\fI${inRoff(placeholder)}\\fR`
      return part === '' || part.startsWith('[') ? part : `\\fB${inRoff(part)}\\fR`
    })
    .join('')
}

/** https://man7.org/linux/man-pages/man7/groff_char.7.html, Fundamental character set. */
function inRoff(text: string): string {
  const escapes: Record<string, string> = {
    '\\': '\\e',
    '-': '\\-',
    "'": '\\(aq',
    '`': '\\(ga',
    '~': '\\(ti',
    '^': '\\(ha',
  }
  return text.replace(/[\\\-'`~^]/g, character => escapes[character] ?? character).replace(/^\./, '\\&.')
}
