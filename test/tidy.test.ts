// The shape of the house: which part may know which, and what a file may not be called.
import { readdirSync, readFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'

const source = resolve(dirname(fileURLToPath(import.meta.url)), '../src')

/** What each part of src may import, beside itself and packages. Inward only: nothing imports what surrounds it. */
const inward: Record<string, string[]> = {
  apis: [],
  translate: ['apis'],
  'admission-policies': ['translate', 'apis'],
  audit: ['translate', 'apis'],
  server: ['translate', 'apis'],
  reconciler: ['translate', 'apis'],
  certificates: ['reconciler', 'apis'],
  'settings.ts': ['translate', 'apis'],
  'index.ts': ['translate', 'apis'],
  'main.ts': ['certificates', 'server', 'reconciler', 'settings.ts', 'translate', 'apis'],
  cli: ['translate', 'apis', 'admission-policies', 'audit', 'reconciler', 'settings.ts', 'main.ts'],
}

const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  .filter(file => file.endsWith('.ts'))
  .sort()

t.test('imports point inward only', async t => {
  for (const file of files) {
    const part = partOf(file)
    const allowed = inward[part]
    if (!t.ok(allowed, `${file} belongs to a part that is named here`)) continue
    for (const path of importsOf(file)) {
      if (!path.startsWith('.')) continue
      const target = partOf(relative(source, resolve(join(source, dirname(file)), path)))
      if (target !== part && !allowed?.includes(target)) t.fail(`${file} imports ${path}`)
    }
  }
})

t.test('the core imports nothing outside src/translate and src/apis but RE2, which is a computation', async t => {
  for (const file of files.filter(file => ['translate', 'apis'].includes(partOf(file)))) {
    const foreign = importsOf(file).filter(path => !path.startsWith('.') && path !== 're2js')
    t.strictSame(foreign, [], file)
  }
})

t.test('the library entry exports the core and nothing else', async t => {
  for (const path of importsOf('index.ts')) t.match(path, /^\.\/(apis|translate)\//)
})

t.test("Node's own modules are imported by their full names", async t => {
  for (const file of files)
    for (const path of importsOf(file)) t.notOk(builtinModules.includes(path), `${file} imports ${path}`)
})

t.test('no file has a name that says nothing', async t => {
  for (const file of files) t.notMatch(file, /(^|\/)(utils?|helpers?|common|misc|types|data)\.ts$/)
})

t.test('a file can be read in one sitting', async t => {
  for (const file of files) {
    const lines = readFileSync(join(source, file), 'utf8').split('\n').length
    t.ok(lines <= 400, `${file} has ${lines} lines`)
  }
})

function partOf(file: string): string {
  return file.split('/')[0] ?? file
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), 'utf8')
  return [
    ...text.matchAll(/(?:^|\s)(?:import|export)\b[^'"]*?from\s+'([^']+)'|import\('([^']+)'\)|^import\s+'([^']+)'/gm),
  ].map(([, from, dynamic, bare]) => from ?? dynamic ?? bare ?? '')
}
