// The manual is what the program says: docs/cli.md and the pages of man, as `npm run man` writes them.
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import t from 'tap'
import { manual } from './manual.ts'

const files = manual()
const manPages = [...files.keys()].filter(path => path.startsWith('man/'))

t.test('docs/cli.md and man/ are what npm run man writes', async t => {
  for (const [path, content] of files) t.equal(readFileSync(path, 'utf8'), content, `${path}: npm run man`)
  t.strictSame(readdirSync('man').sort(), manPages.map(path => path.replace('man/', '')).sort())
})

t.test('npm installs the pages', async t => {
  t.strictSame(JSON.parse(readFileSync('package.json', 'utf8')).man, manPages, 'package.json: npm run man')
})

t.test('it names every environment variable that is read', async t => {
  const source = readFileSync('src/settings.ts', 'utf8') + readFileSync('src/cli/io.ts', 'utf8')
  const variables = new Set(source.match(/\b(SIDESTEP_[A-Z_]*[A-Z]|NO_COLOR|FORCE_COLOR)\b/g))
  variables.delete('SIDESTEP_PORT') // Of which settings.ts says that it is not read.
  t.ok(variables.size >= 9)
  for (const path of ['docs/cli.md', 'man/sidestep.1'])
    for (const variable of variables) t.match(files.get(path), new RegExp(`[\`B]${variable}[\`\\\\]`), path)
})

// Each has its own eye; a machine rarely has all of them.
const checkers: Record<string, { args: string[]; accepts?: RegExp }> = {
  man: { args: ['--warnings', '-l', '-Tutf8', '-Z', '-'] },
  groff: { args: ['-ww', '-man', '-Tutf8', '-z', '-'] },
  // A date would change the page though nothing in it has changed.
  mandoc: { args: ['-Tlint', '-Wwarning'], accepts: /WARNING: missing date/ },
}

for (const [command, { args, accepts }] of Object.entries(checkers)) {
  const skip = spawnSync(command, ['--version']).error ? `there is no ${command}` : false
  t.test(`${command} finds nothing wrong with the pages`, { skip }, async t => {
    const complaintsOf = (input: string) => {
      const { stdout, stderr } = spawnSync(command, args, { input, encoding: 'utf8' })
      const lines = `${stderr}${command === 'mandoc' ? stdout : ''}`.split('\n')
      return lines.filter(line => line !== '' && !accepts?.test(line))
    }
    t.not(complaintsOf('.TH A 1\n.SH NAME\n.SH\n\\f[NONE]\\*[none]x\n.TP\n').length, 0, 'it finds what is wrong')
    for (const path of manPages) t.strictSame(complaintsOf(files.get(path) ?? ''), [], path)
  })
}
