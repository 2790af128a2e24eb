// The documentation as data: its links, headings and blocks, and what a comment before a block says of its test.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join, posix, resolve } from 'node:path'
import GitHubSlugger from 'github-slugger'
import MarkdownIt, { type Token } from 'markdown-it'

export const root = resolve(import.meta.dirname, '../..')

export interface Page {
  path: string
  blocks: Block[]
  /** The fragments that GitHub gives to headings. */
  anchors: Set<string>
  links: { target: string; line: number }[]
}

export interface Block {
  language: string
  text: string
  line: number
  test: Directive
  /** What the commands of this block print, when a block says so. */
  output?: Block
}

/** `<!-- test: WORDS, WORDS -->` before a block; CONTRIBUTING.md explains the words. */
export interface Directive {
  skip?: string
  cluster?: true
  exit?: number
  file?: string
  output?: true
  fragment?: true
}

/** Every page that is not of a package. */
export function pagePaths(): string[] {
  const inDirectory = (directory: string) =>
    readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.md') && !name.includes('node_modules'))
      .map(name => posix.join(directory, name))
  const top = readdirSync(root).filter(name => name.endsWith('.md'))
  return [...top, ...['bench', 'certs', 'deploy', 'docs', 'examples'].flatMap(inDirectory)].sort()
}

export function readPage(path: string): Page {
  return parsePage(path, readFileSync(join(root, path), 'utf8'))
}

export function parsePage(path: string, text: string): Page {
  const page: Page = { path, blocks: [], anchors: new Set(), links: [] }
  const slugger = new GitHubSlugger()
  const tokens = new MarkdownIt({ html: true }).parse(text, {})
  // `sidestep explain` and the audit's page print these pages as they are, so that they hold no comments.
  const usual: Directive = path.startsWith('docs/diagnostics/') ? { cluster: true } : {}
  let test: Directive | undefined
  let commands: Block | undefined
  let line = 1
  for (const [i, token] of tokens.entries()) {
    if (token.map) line = token.map[0] + 1
    if (token.type === 'html_block' && token.content.startsWith('<!-- test:')) {
      test = directiveOf(token.content, `${path}:${line}`)
      continue
    }
    if (token.type === 'fence') {
      const block: Block = { language: token.info.trim(), text: token.content, line, test: test ?? usual }
      page.blocks.push(block)
      // What follows commands, with nothing between, is what they print.
      const isOutput = test?.output || ['text', 'console'].includes(block.language)
      if (commands && isOutput) commands.output = block
      else if (test?.output) throw new Error(`${path}:${line}: output of no commands`)
      commands = block.language === 'sh' ? block : undefined
      test = undefined
      continue
    }
    if (token.type === 'inline') {
      page.links.push(...linksIn(token).map(target => ({ target, line })))
      if (tokens[i - 1]?.type === 'heading_open') page.anchors.add(slugger.slug(textOf(token)))
      // A comment is of the block that follows it at once, and an output follows its commands at once.
      if (test) throw new Error(`${path}:${line}: a test comment, and no block after it`)
      commands = undefined
    }
  }
  return page
}

function directiveOf(comment: string, where: string): Directive {
  const [, words = ''] = /^<!-- test: (.*?) -->\s*$/s.exec(comment) ?? []
  const skip = /^skip because (\S.{9,})$/s.exec(words)?.[1]
  if (skip) return { skip: skip.replace(/\s+/g, ' ') }
  const directive: Directive = {}
  for (const word of words.split(/,\s*/)) {
    const [, name = '', value] = /^(\w+)(?: (\S+))?$/.exec(word) ?? []
    if (name === 'exit' && /^\d+$/.test(value ?? '')) directive.exit = Number(value)
    else if (name === 'file' && value) directive.file = value
    else if ((name === 'cluster' || name === 'output' || name === 'fragment') && !value) directive[name] = true
    else throw new Error(`${where}: "${words}" is no test comment; CONTRIBUTING.md has those that there are`)
  }
  return directive
}

function linksIn({ children }: Token): string[] {
  return (children ?? []).flatMap(child => {
    const target = child.type === 'link_open' ? child.attrGet('href') : child.attrGet('src')
    return target ? [target] : []
  })
}

function textOf({ children }: Token): string {
  return (children ?? []).map(({ content }) => content).join('')
}

/** What leads nowhere, as sentences. `others` has the pages by their paths. */
export function deadLinks(page: Page, others: ReadonlyMap<string, Page>): string[] {
  const { path, links } = page
  return links.flatMap(({ target, line }) => {
    const here = `${path}:${line}: ${target}`
    if (/^(https|mailto):/.test(target)) return []
    if (/^[a-z]+:/.test(target)) return [`${here}: https, or a file of ours`]
    const [file = '', fragment] = decodeURI(target).split('#')
    const found = posix.join(posix.dirname(path), file || posix.basename(path))
    const other = found === path ? page : others.get(found)
    if (found.startsWith('..')) return [`${here} is outside of the repository`]
    if (!other && !existsSync(join(root, found))) return [`${here} is not there`]
    if (fragment !== undefined && !other?.anchors.has(fragment)) return [`${here} has no such heading`]
    return []
  })
}
