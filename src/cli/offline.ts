// `sidestep convert`: read, convert, print, and say by the exit code how it went.
import { writeFileSync } from 'node:fs'
import type { KubernetesObject } from '../apis/core.ts'
import { loadSettings } from '../settings.ts'
import type { Translate } from '../translate/translation.ts'
import { convert } from './convert.ts'
import type { Problem } from './documents.ts'
import { type ExitCode, type Io, isColoured } from './io.ts'
import { findingLine, problemLine, roundedIn, summary, toJson, toJsonLines, toYaml } from './print.ts'
import { read } from './read.ts'

export interface ConvertFlags {
  filename: string[]
  settings?: string
  profile?: string
  snapshot?: string
  output: 'yaml' | 'json'
  asIs?: true
  diagnostics?: string
  verbose?: true
}

/**
 * Runs the command. When anything of the input cannot be read, nothing goes to stdout: half of a set of policies, piped
 * into kubectl, could open what the other half closes. What the rest would say is still said.
 */
export async function runConvert(
  flags: ConvertFlags,
  io: Io,
  translate?: Translate<KubernetesObject>,
): Promise<ExitCode> {
  const settings = loadSettings({ file: flags.settings, env: io.env, flags: { profile: flags.profile } })
  const { inputs, problems } = await read(flags.filename, io.stdin)
  const snapshot = flags.snapshot ? await read([flags.snapshot], io.stdin) : { inputs: [], problems: [] }
  const conversion = convert(inputs, {
    settings,
    others: snapshot.inputs,
    statuses: flags.asIs ? 'observed' : 'assumed',
    ...(translate ? { translate } : {}),
  })
  const { printed, findings } = conversion
  const errors: Problem[] = [
    ...problems,
    ...snapshot.problems,
    ...conversion.problems,
    ...roundedIn(printed, flags.output),
  ]
  if (flags.diagnostics) errors.push(...write(flags.diagnostics, toJsonLines(findings)))

  const coloured = isColoured(io.stderr, io.env)
  const shown = findings.filter(({ diagnostic }) => flags.verbose || diagnostic.severity !== 'note')
  const lines = [
    ...shown.map(finding => findingLine(finding, coloured)),
    ...errors.map(problem => problemLine(problem, coloured)),
  ]
  io.stderr.write(lines.join('') + summary(conversion, inputs.length, errors.length))
  if (errors.length > 0) return 2
  io.stdout.write(flags.output === 'json' ? toJson(printed) : toYaml(printed))
  return findings.some(({ diagnostic }) => diagnostic.severity === 'denial') ? 1 : 0
}

function write(file: string, text: string): Problem[] {
  try {
    writeFileSync(file, text)
    return []
  } catch (error) {
    return [{ file, message: `cannot be written: ${error instanceof Error ? error.message : error}` }]
  }
}
