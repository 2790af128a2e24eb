// A fixture is a folder: input.yaml, what it becomes (expected.yaml), what is said about it (diagnostics.yaml), and where
// needed the rest of the cluster (cluster.yaml) and the settings (settings.yaml). A new case is a new folder, never new code.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, parseAllDocuments } from 'yaml'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type { SettingsFile } from '../../src/settings.ts'
import { translate } from '../../src/translate/index.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { type ClusterSnapshot, snapshotOf } from '../../src/translate/snapshot.ts'
import { checkStatus } from '../../src/translate/status/index.ts'

export const fixturesDirectory = dirname(fileURLToPath(import.meta.url))

export interface Fixture {
  name: string
  directory: string
  input: KubernetesObject[]
  cluster: ClusterSnapshot
  settings: Settings
}

export interface FixtureResult {
  objects: KubernetesObject[]
  diagnostics: Pick<Diagnostic, 'code' | 'field'>[]
}

/** Every folder below `root` that holds an input.yaml, in the order of their names. */
export function readFixtures(root = fixturesDirectory): Fixture[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('input.yaml'))
    .sort()
    .map(path => readFixture(join(root, dirname(path))))
}

function readFixture(directory: string): Fixture {
  const input = readDocuments(join(directory, 'input.yaml')) as KubernetesObject[]
  const [first, ...rest] = readDocuments(join(directory, 'cluster.yaml'))
  const isObserved = typeof first === 'object' && first !== null && 'statuses' in first && first.statuses === 'observed'
  const others = (isObserved ? rest : [first, ...rest].filter(Boolean)) as KubernetesObject[]
  return {
    name: relative(fixturesDirectory, directory),
    directory,
    input,
    cluster: snapshotOf([...others, ...input], isObserved ? 'observed' : 'assumed'),
    settings: readSettings(join(directory, 'settings.yaml')),
  }
}

function readDocuments(file: string): unknown[] {
  if (!existsSync(file)) return []
  return parseAllDocuments(readFileSync(file, 'utf8'))
    .map(document => document.toJS())
    .filter(object => object !== null)
}

function readSettings(file: string): Settings {
  if (!existsSync(file)) return profiles.kubeflow
  const { profile = 'kubeflow', ...fields } = parse(readFileSync(file, 'utf8')) as SettingsFile
  return { ...profiles[profile], ...fields }
}

/**
 * What sidestep makes of a fixture: the objects in input order, each followed by its companions, and what is said about them
 * and about their statuses.
 */
export function translateAll({ input, cluster, settings }: Fixture): FixtureResult {
  const results = input.map(object => translate(object, cluster, settings))
  const statuses = input.flatMap(object => checkStatus(object, cluster, settings))
  return {
    objects: results.flatMap(({ object, companions }) => [object, ...companions]),
    diagnostics: [
      ...results.flatMap(({ warnings, denial }) => [...(denial?.reasons ?? []), ...warnings]),
      ...statuses,
    ].map(({ code, field }) => ({ code, field })),
  }
}
