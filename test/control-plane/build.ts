// Makes sure that the control plane of the end-to-end tests is there, and helm, before the test runner and its time limits
// start:
//   node --import=tsx test/control-plane/build.ts
import { ensureHelm } from '../helm/helm.ts'
import { crdFiles, ensureBinaries } from './binaries.ts'
import { missingLine } from './skip.ts'

const binaries = await ensureBinaries()
const crds = 'reason' in binaries ? binaries : await crdFiles()
const helm = await ensureHelm()
if ('reason' in binaries) fail(binaries.reason)
else if ('reason' in crds) fail(crds.reason)
else process.stderr.write(`sidestep: control plane from ${binaries.origin}: ${binaries.directory}\n`)
if ('reason' in helm) fail(helm.reason)

/** A machine that only runs unit tests may go on without; CI may not. */
function fail(reason: string): void {
  process.stderr.write(`${missingLine(reason)}\n`)
  process.exitCode = process.env.CI ? 1 : 0
}
