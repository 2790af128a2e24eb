// `npm run bench:ready`: from the start of the process until /readyz, on snapshots of files. What is said is the median.
//   npm run bench:ready [-- VIRTUAL-SERVICES RUNS]
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { population, surroundings } from '../test/e2e/backfill/population.ts'
import { freePorts, inTree, median, ServeProcess } from './serve.ts'

const [virtualServices = 10_000, runs = 10] = process.argv.slice(2).map(Number)
const goalSeconds = 1

const directory = mkdtempSync(join(tmpdir(), 'sidestep-bench-'))
try {
  const {
    namespaces,
    services,
    virtualServices: notebooks,
  } = population({
    virtualServices,
    policies: 0,
    namespaces: Math.ceil(virtualServices / 20),
  })
  const items = [...namespaces, ...surroundings, ...services, ...notebooks]
  const files = {
    // As `kubectl get -o json` and `-o yaml` write them.
    [`${items.length} objects in JSON`]: write('list.json', JSON.stringify(listOf(items), undefined, 4)),
    [`${items.length} objects in YAML`]: write('list.yaml', stringify(listOf(items))),
  }
  console.log('| snapshot | until ready | at least, at most | peak memory |\n| --- | ---: | ---: | ---: |')
  for (const [name, path] of Object.entries({ 'examples/kubeflow': inTree('../examples/kubeflow'), ...files })) {
    const seconds: number[] = []
    const mebibytes: number[] = []
    for (let run = 0; run < runs; run++) {
      const served = new ServeProcess([`--snapshot=${path}`], await freePorts())
      seconds.push(await served.ready())
      mebibytes.push(served.mebibytes.peak)
      await served.stop()
    }
    const range = [Math.min(...seconds), Math.max(...seconds)].map(each => `${each.toFixed(2)} s`).join(', ')
    console.log(`| ${name} | ${median(seconds).toFixed(2)} s | ${range} | ${median(mebibytes).toFixed(0)} MiB |`)
    if (median(seconds) > goalSeconds) process.exitCode = 1
  }
} finally {
  rmSync(directory, { recursive: true })
}

function listOf(items: object[]): object {
  return { apiVersion: 'v1', kind: 'List', items }
}

function write(name: string, text: string): string {
  const file = join(directory, name)
  writeFileSync(file, text)
  return file
}
