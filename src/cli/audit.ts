// `sidestep audit`: reads files or a cluster, has all of it judged, and says by the exit code whether it can move. It never writes.

import type { KubernetesObject } from '../apis/core.ts'
import { type AuditInput, type AuditOptions, audit } from '../audit/index.ts'
import type { AuditReport, Unread, Verdict } from '../audit/report.ts'
import { loadProfile } from '../settings.ts'
import type { Translate } from '../translate/translation.ts'
import { type ExitCode, type Io, isColoured } from './io.ts'
import { pageOf } from './pages.ts'
import { inert, problemLine } from './print.ts'
import { type Progress, progressOn } from './progress.ts'
import { read } from './read.ts'
import { ownVersion } from './version.ts'

export interface AuditFlags {
  filename?: string[]
  kubeconfig?: string
  context?: string
  namespace?: string[]
  settings?: string
  profile?: string
  output: 'table' | 'json' | 'sarif' | 'junit' | 'html'
  failOn: FailOn
  verbose?: true
}

export type FailOn = 'warning' | 'denial' | 'never'

export async function runAudit(flags: AuditFlags, io: Io, translate?: Translate<KubernetesObject>): Promise<ExitCode> {
  const loaded = loadProfile({ file: flags.settings, env: io.env, flags: { profile: flags.profile } })
  const progress = progressOn(io)
  const subject = await (flags.filename ? fromFiles(flags.filename, io) : fromCluster(flags, progress)).finally(() =>
    progress.clear(),
  )
  if (!subject) return 2
  const { inputs, ...known } = subject
  if (inputs.length === 0) {
    // A pipe whose first command failed gives nothing, and that is not ready.
    io.stderr.write(`error: there is no object in ${inert(known.source)}; check what wrote it\n`)
    return 2
  }
  const missing = (flags.namespace ?? []).filter(name => !inputs.some(({ object }) => isIn(object, name)))
  if (missing.length > 0) {
    io.stderr.write(`error: there is nothing in namespace ${inert(missing.join(', '))}\n`)
    return 2
  }
  const report = audit(inputs, {
    ...{ ...loaded, version: ownVersion(), ...known },
    ...(flags.namespace ? { namespaces: flags.namespace } : {}),
    ...(translate ? { translate } : {}),
    onProgress: (done, total) => progress.show('judging', done / total),
  })
  progress.clear()
  for (const { resource, reason } of report.unread ?? [])
    io.stderr.write(`warning: ${inert(resource)} is not read: ${inert(reason)}; the report does not know of it\n`)
  io.stdout.write(await textOf(report, flags, io))
  return isFailure(report.verdict, flags.failOn) ? 1 : 0
}

type Subject = { inputs: AuditInput[]; unread?: Unread[] } & Pick<AuditOptions, 'source' | 'isLive'>

async function fromFiles(filename: string[], io: Io): Promise<Subject | undefined> {
  const { inputs, problems } = await read(filename, io.stdin)
  io.stderr.write(problems.map(problem => problemLine(problem, isColoured(io.stderr, io.env))).join(''))
  if (problems.length > 0) return undefined
  return { inputs, source: filename.map(path => (path === '-' ? 'stdin' : path)).join(', ') }
}

async function fromCluster({ kubeconfig, context }: AuditFlags, progress: Progress): Promise<Subject> {
  const [{ connect }, { contextOf }, { readAll }] = await Promise.all([
    import('../reconciler/api-server.ts'),
    import('../reconciler/kubeconfig.ts'),
    import('../reconciler/read-all.ts'),
  ])
  const { signal } = new AbortController()
  const { objects, unread } = await readAll(connect(kubeconfig, context), signal, (kinds, all, count) =>
    progress.show(`reading: ${kinds} of ${all} kinds, ${count} objects`),
  )
  const inputs = objects.map(object => ({ object }))
  return { inputs, source: contextOf(kubeconfig, context), isLive: true, unread }
}

function isIn({ kind, metadata }: KubernetesObject, namespace: string): boolean {
  return (metadata.namespace ?? (kind === 'Namespace' ? metadata.name : 'default')) === namespace
}

async function textOf(report: AuditReport, { output, failOn, verbose }: AuditFlags, io: Io): Promise<string> {
  switch (output) {
    case 'json':
      return `${JSON.stringify(report, undefined, 2)}\n`
    case 'sarif': {
      const { toSarif } = await import('../audit/sarif.ts')
      return `${JSON.stringify(toSarif(report, pageOf), undefined, 2)}\n`
    }
    case 'junit': {
      const { toJunit } = await import('../audit/junit.ts')
      return toJunit(report, failOn)
    }
    case 'html': {
      const { toHtml } = await import('../audit/html/index.ts')
      return toHtml(report, pageOf)
    }
    case 'table': {
      const { toTable } = await import('./print-audit.ts')
      return toTable(report, { isVerbose: verbose === true, isColoured: isColoured(io.stdout, io.env) })
    }
  }
}

function isFailure(verdict: Verdict, failOn: FailOn): boolean {
  if (failOn === 'never' || verdict === 'ready') return false
  return verdict === 'blocked' || failOn === 'warning'
}
