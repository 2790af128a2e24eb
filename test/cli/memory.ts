// A terminal in memory: what a command reads and writes, as text.

import type { KubernetesObject } from '../../src/apis/core.ts'
import type { ExitCode, Io } from '../../src/cli/io.ts'
import { run } from '../../src/cli/main.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import type { Translate } from '../../src/translate/translation.ts'

export interface Outcome {
  code: ExitCode
  stdout: string
  stderr: string
}

export interface Surroundings {
  stdin?: string | Uint8Array
  env?: Record<string, string>
  isTTY?: boolean
  /** In the place of Ctrl-C. */
  signal?: AbortSignal
  /** Called with what is written to stdout. */
  onOutput?: (text: string) => void
  /** The real core, unless a test says what becomes of an object. */
  translate?: Translate<KubernetesObject>
}

/** Runs one command line; the arguments may hold spaces, so they come one by one. */
export async function sidestep(
  args: readonly string[],
  { stdin = '', env = {}, isTTY = false, signal, onOutput = () => {}, translate }: Surroundings = {},
): Promise<Outcome> {
  const written = { stdout: '', stderr: '' }
  const io: Io = {
    stdin: (async function* () {
      yield stdin
    })(),
    stdout: {
      isTTY,
      write(text) {
        written.stdout += text
        onOutput(text)
      },
    },
    stderr: { isTTY, write: text => (written.stderr += text) },
    env,
    ...(signal && { signal }),
  }
  const code = await run(args, io, translate ? { translate } : {})
  return { code, ...written }
}

/** `convert -f -` of a text. */
export function convertText(stdin: string, surroundings: Surroundings = {}, ...args: string[]): Promise<Outcome> {
  return sidestep(['convert', '-f', '-', ...args], { stdin, ...surroundings })
}

/** A core in which annotations say what becomes of an object: `deny`, `warn` and `note` name the field to report. */
export const scripted: Translate<KubernetesObject> = object => {
  const { deny, warn, note, rewrite, companion } = object.metadata.annotations ?? {}
  const warnings = [
    ...(warn === undefined ? [] : [diagnostic('warning', warn)]),
    ...(note === undefined ? [] : [diagnostic('note', note)]),
  ]
  const companions = companion === undefined ? [] : [companionNamed(companion)]
  if (deny !== undefined) return { object, companions, warnings, denial: { reasons: [diagnostic('denial', deny)] } }
  const labels = { ...object.metadata.labels, rewritten: rewrite ?? '' }
  return {
    object: rewrite === undefined ? object : { ...object, metadata: { ...object.metadata, labels } },
    companions,
    warnings,
  }
}

/** An HTTPRoute of ours. */
export function companionNamed(name: string): KubernetesObject {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: {
      name,
      labels: { 'app.kubernetes.io/managed-by': 'sidestep' },
      annotations: { 'sidestep.dev/source': 'test' },
    },
  }
}

function diagnostic(severity: Diagnostic['severity'], field: string): Diagnostic {
  return { code: 'VS-FAULT', severity, field, message: `about ${field}` }
}
