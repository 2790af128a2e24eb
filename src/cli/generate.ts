// `sidestep generate policies`: what the API server can do by itself, as YAML.
import { stringify } from 'yaml'
import { admissionPolicies } from '../admission-policies/index.ts'
import { loadSettings } from '../settings.ts'
import type { ExitCode, Io } from './io.ts'

export interface GenerateFlags {
  settings?: string
  profile?: string
}

/** Prints the policies of the settings, ready for kubectl. */
export function runGeneratePolicies(flags: GenerateFlags, { stdout, env }: Pick<Io, 'stdout' | 'env'>): ExitCode {
  const settings = loadSettings({ file: flags.settings, env, flags: { profile: flags.profile } })
  const documents = admissionPolicies(settings).map(object => stringify(object, { lineWidth: 0, indentSeq: false }))
  stdout.write(documents.join('---\n'))
  return 0
}
