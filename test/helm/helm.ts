// Helm itself, built once like the control plane from the Go module beside this file, which pins its version.
import { constants } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import { GoModule, isThere, type Missing } from '../control-plane/go-module.ts'
import { type Outcome, run } from '../control-plane/run.ts'
import { missingLine } from '../control-plane/skip.ts'

export type Helm = (args: readonly string[], options?: { stdin?: string; kubeconfig?: string }) => Promise<Outcome>

const goModule = new GoModule(import.meta.dirname, 'helm')

/** Where it is. */
export async function findHelmBinary(): Promise<string | Missing> {
  const binary = join(await goModule.cachePath('bin'), 'helm')
  return (await isThere(binary, constants.X_OK))
    ? binary
    : { reason: 'helm has not been built; run: npm run control-plane' }
}

export async function findHelm(): Promise<Helm | Missing> {
  const binary = await findHelmBinary()
  if (typeof binary !== 'string') return binary
  const directory = dirname(binary)
  // Its caches and settings are below HOME, and the developer's own have no business here.
  const env = { PATH: process.env.PATH, HOME: directory }
  return (args, { stdin, kubeconfig } = {}) =>
    run(binary, args, {
      env: { ...env, ...(kubeconfig && { KUBECONFIG: kubeconfig }) },
      ...(stdin !== undefined && { stdin }),
    })
}

export async function ensureHelm(): Promise<Helm | Missing> {
  const found = await findHelm()
  if (!('reason' in found)) return found
  const missing = await goModule.missing()
  if (missing) return missing
  await goModule.fillCache('bin', directory => goModule.build(directory, 'helm', 'helm.sh/helm/v4/cmd/helm'))
  return findHelm()
}

/** Where there is no helm, the test is skipped, and in CI it fails. */
export async function helmOrSkip(t: Test): Promise<Helm | undefined> {
  const found = await findHelm()
  if (!('reason' in found)) return found
  process.stderr.write(`${missingLine(found.reason)}\n`)
  if (process.env.CI) t.fail(found.reason)
  else t.plan(0, found.reason)
  return undefined
}
