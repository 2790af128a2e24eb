// `npm run report:example`: HTML reports to look at, of examples/kubeflow, of the corpus where there is one, and of 5,000
// made-up findings.
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { toHtml } from '../../src/audit/html/index.ts'
import { run } from '../../src/cli/main.ts'
import { pageOf } from '../../src/cli/pages.ts'
import { alternatives, corpusDirectory } from '../support/corpus.ts'
import { madeUpReport } from './reports.ts'

const directory = process.argv[2] ?? join(tmpdir(), 'sidestep-reports')
mkdirSync(directory, { recursive: true })

write('kubeflow', await reportOn(['examples/kubeflow']))
const corpus = corpusDirectory()
if (corpus) {
  const files = readdirSync(corpus).filter(file => file.endsWith('.yaml') && !alternatives.includes(file))
  write('corpus', await reportOn(files.map(file => join(corpus, file))))
}
write('large', toHtml(madeUpReport({ namespaces: 400, findings: 5000 }), pageOf))

function write(name: string, text: string): void {
  const file = join(directory, `${name}.html`)
  writeFileSync(file, text)
  process.stdout.write(`${file} (${Math.round(text.length / 1024)} KiB)\n`)
}

async function reportOn(paths: string[]): Promise<string> {
  let text = ''
  const stdout = { write: (part: string) => (text += part) }
  await run(['audit', ...paths.flatMap(path => ['-f', path]), '--profile', 'kubeflow', '-o', 'html'], {
    ...process,
    stdout,
    env: process.env,
  })
  return text
}
