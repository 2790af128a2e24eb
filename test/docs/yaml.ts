// The YAML blocks of the pages, by what they are: objects of the API, settings, or a part of one.
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { loadSettings, SettingsError } from '../../src/settings.ts'
import { isRecord } from '../../src/translate/fate.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Page } from './pages.ts'

export interface YamlBlocks {
  objects: { where: string; object: KubernetesObject }[]
  settings: number
  fragments: number
  problems: string[]
}

const settingsFields = new Set(['profile', ...Object.keys(profiles.kubeflow)])

export function yamlOf({ path, blocks }: Page): YamlBlocks {
  const found: YamlBlocks = { objects: [], settings: 0, fragments: 0, problems: [] }
  for (const { language, text, line, test } of blocks) {
    if (language !== 'yaml' || test.output) continue
    const where = `${path}:${line}`
    for (const document of parseAllDocuments(text)) {
      const problems = [...document.errors, ...document.warnings].map(problem => `${where}: ${problem.message}`)
      found.problems.push(...problems)
      if (problems.length > 0) continue
      const value: unknown = document.toJS()
      if (test.fragment) found.fragments++
      else if (isObject(value)) found.objects.push({ where, object: value })
      else if (isRecord(value) && Object.keys(value).every(key => settingsFields.has(key))) {
        found.settings++
        found.problems.push(...settingsProblems(text).map(problem => `${where}: ${problem}`))
      } else found.fragments++
    }
  }
  return found
}

function isObject(value: unknown): value is KubernetesObject {
  return isRecord(value) && typeof value.apiVersion === 'string' && typeof value.kind === 'string'
}

function settingsProblems(text: string): readonly string[] {
  const file = join(tmpdir(), `sidestep-docs-settings-${process.pid}.yaml`)
  writeFileSync(file, text)
  try {
    loadSettings({ file, env: {} })
    return []
  } catch (error) {
    if (error instanceof SettingsError) return error.problems
    throw error
  } finally {
    rmSync(file)
  }
}
