// A real Chromium for tests. The package @sparticuz/chromium carries one for Linux on x64, so `npm ci` is all it takes; elsewhere
// one that is installed serves.
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import type { Test } from 'tap'
import { run } from '../control-plane/run.ts'

const flags = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

const installed = [
  '/usr/bin/chromium',
  '/usr/bin/google-chrome',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]

/** A browser that closes when `t` ends. Without one, `t` is skipped with a loud line, and in CI it fails. */
export async function browserOrSkip(t: Test): Promise<Browser | undefined> {
  try {
    const browser = await launch()
    t.teardown(() => browser.close())
    return browser
  } catch (error) {
    const reason = `there is no Chromium here: ${error instanceof Error ? error.message : error}`
    process.stderr.write(`sidestep: ${process.env.CI ? 'CANNOT RUN' : 'SKIPPING'} THE TESTS IN A BROWSER: ${reason}\n`)
    if (process.env.CI) t.fail(reason)
    else t.plan(0, reason)
    return undefined
  }
}

/** $SIDESTEP_CHROMIUM when somebody asks for this very one, or else the package's, or else an installed one. */
export async function launch(): Promise<Browser> {
  const asked = process.env.SIDESTEP_CHROMIUM
  if (asked) return chromium.launch({ executablePath: asked, args: flags })
  const errors: unknown[] = []
  if (process.platform === 'linux' && process.arch === 'x64') {
    try {
      return await launchPackaged()
    } catch (error) {
      errors.push(error)
    }
  }
  const executablePath = installed.find(path => existsSync(path))
  if (executablePath) return chromium.launch({ executablePath, args: flags })
  throw new AggregateError(
    errors,
    `none is installed${errors.length > 0 ? `, and that of the package fails: ${errors[0]}` : ''}`,
  )
}

/**
 * The package is made for a bare Amazon Linux: told that it runs there, it brings along the libraries and a font which a
 * bare machine of any kind lacks (its README, "Running locally"). It unpacks into the temporary directory.
 */
async function launchPackaged(): Promise<Browser> {
  const directory = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sidestep', 'chromium-143')
  if (!existsSync(directory)) await unpackInto(directory)
  return chromium.launch({
    executablePath: join(directory, 'chromium'),
    args: flags,
    env: {
      ...process.env,
      LD_LIBRARY_PATH: join(directory, 'al2023', 'lib'),
      FONTCONFIG_FILE: join(directory, 'fonts.conf'),
    },
  })
}

/** At one blow, since several tests may want a browser at once. */
async function unpackInto(directory: string): Promise<void> {
  await mkdir(dirname(directory), { recursive: true })
  const unpacking = await mkdtemp(`${directory}-`)
  const { code, stderr } = await run(
    process.execPath,
    ['--input-type=module', '--eval', `import('@sparticuz/chromium').then(({ default: it }) => it.executablePath())`],
    {
      cwd: import.meta.dirname,
      env: { ...process.env, TMPDIR: unpacking, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x' },
    },
  )
  if (code !== 0) throw new Error(`@sparticuz/chromium cannot be unpacked: ${stderr}`)
  // Chromium crashes where there is no font at all; the package's own file looks for it in /tmp only.
  await writeFile(
    join(unpacking, 'fonts.conf'),
    `<?xml version="1.0"?>
<fontconfig>
  <dir>${join(directory, 'fonts')}</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${join(directory, 'fonts-cache')}</cachedir>
</fontconfig>
`,
  )
  await rename(unpacking, directory).catch(async error => {
    await rm(unpacking, { recursive: true })
    if (!existsSync(directory)) throw error // Or somebody else was first.
  })
}
