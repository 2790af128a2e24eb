// How a test gets its control plane:
//
//   t.test('what it shows', async t => {
//     const controlPlane = await controlPlaneOrSkip(t)
//     if (!controlPlane) return
//     ...
//   })
import type { Test } from 'tap'
import { type ControlPlane, type ControlPlaneOptions, startControlPlane, unavailable } from './index.ts'

/**
 * A control plane for the tests below `t`, which stops when `t` ends. Where none is to be had, `t` is skipped with one
 * loud line and the result is undefined; in CI, `t` fails, since nobody reads a skipped test there.
 */
export async function controlPlaneOrSkip(
  t: Test,
  options: ControlPlaneOptions = {},
): Promise<ControlPlane | undefined> {
  if (!(await availableOrSkip(t, options))) return undefined
  const controlPlane = await startControlPlane(options)
  t.teardown(() => controlPlane.stop())
  return controlPlane
}

/** The same for a test that starts its control plane in its own way. */
export async function availableOrSkip(t: Test, options: ControlPlaneOptions = {}): Promise<boolean> {
  const reason = await unavailable(options)
  if (!reason) return true
  process.stderr.write(`${missingLine(reason)}\n`)
  if (process.env.CI) t.fail(reason)
  else t.plan(0, reason)
  return false
}

export function missingLine(reason: string): string {
  return `sidestep: ${process.env.CI ? 'CANNOT RUN' : 'SKIPPING'} THE END-TO-END TESTS: ${reason}`
}
