// npm run man
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { manual } from './manual.ts'

rmSync('man', { recursive: true, force: true })
mkdirSync('man')
for (const [path, content] of manual()) writeFileSync(path, content)

// npm installs the pages that are listed here, and no others.
const manifest = JSON.parse(readFileSync('package.json', 'utf8'))
manifest.man = [...manual().keys()].filter(path => path.startsWith('man/'))
writeFileSync('package.json', `${JSON.stringify(manifest, undefined, 2)}\n`)
