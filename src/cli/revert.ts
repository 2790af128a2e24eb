// `sidestep revert`: files as their authors wrote them, or a cluster, in the order in which nothing opens.
import { loadSettings } from '../settings.ts'
import { isCompanion } from '../translate/companion.ts'
import type { RevertStep, RevertWrite } from '../translate/revert.ts'
import { reverted } from '../translate/revert.ts'
import { labelledWaypoint, useWaypointLabel } from '../translate/waypoint.ts'
import type { Printed } from './convert.ts'
import type { Input, Problem } from './documents.ts'
import { type ExitCode, type Io, isColoured } from './io.ts'
import { describe, identityOf } from './objects.ts'
import { count, inert, problemLine, roundedIn, toJson, toYaml } from './print.ts'
import { read } from './read.ts'

export interface RevertFlags {
  filename?: string[]
  output?: 'yaml' | 'json'
  kubeconfig?: string
  context?: string
  namespace?: string[]
  settings?: string
  profile?: string
  dryRun?: true
  yes?: true
}

export function runRevert(flags: RevertFlags, io: Io): Promise<ExitCode> {
  return flags.filename ? revertFiles(flags.filename, flags.output ?? 'yaml', io) : revertCluster(flags, io)
}

// Files ------------------------------------------------------------------------------------------------------------

/** What is printed is for a cluster without sidestep, where the order of applying no longer matters. */
async function revertFiles(filename: string[], output: 'yaml' | 'json', io: Io): Promise<ExitCode> {
  const { inputs, problems } = await read(filename, io.stdin)
  const companions = inputs.filter(({ object }) => isCompanion(object))
  const printed = inputs.filter(input => !companions.includes(input)).map(printedOf)
  const errors: Problem[] = [...problems, ...roundedIn(printed, output)]
  const coloured = isColoured(io.stderr, io.env)
  const restored = printed.filter(({ role }) => role === 'rewritten').length
  const outcome = errors.length > 0 ? `; ${count(errors.length, 'error')}, so nothing is printed` : ''
  io.stderr.write(
    [
      ...printed.map(each => unsureLine(each.input, companions)),
      ...errors.map(problem => problemLine(problem, coloured)),
      `${count(inputs.length, 'object')}, ${restored} restored, ${count(companions.length, 'companion')} left out${outcome}\n`,
    ].join(''),
  )
  if (errors.length > 0) return 2
  io.stdout.write(output === 'json' ? toJson(printed) : toYaml(printed))
  return 0
}

function printedOf(input: Input): Printed {
  const object = reverted(input.object)
  return object === input.object ? { object, role: 'unchanged', input } : { object, role: 'rewritten', input }
}

/** A Service carries no record, so nobody can tell from a file who wrote the label of a waypoint that goes. */
function unsureLine({ object, positionOf }: Input, companions: Input[]): string {
  const waypoint = labelledWaypoint(object.metadata.labels, object.metadata.namespace ?? 'default')
  if (object.kind !== 'Service' || !waypoint) return ''
  const gateway = { apiVersion: 'gateway.networking.k8s.io/v1', kind: 'Gateway', metadata: waypoint }
  if (!companions.some(each => identityOf(each.object) === identityOf(gateway))) return ''
  const field = `metadata.labels[${useWaypointLabel}]`
  const { file, line, column } = positionOf(field)
  const place = [file, line, column].filter(part => part !== undefined).join(':')
  const text = `${describe(object)} ${field}: names a waypoint that goes; take the istio.io labels off unless they are yours`
  return `${inert(place)}: warning ${inert(text)}\n`
}

// A cluster --------------------------------------------------------------------------------------------------------

async function revertCluster(flags: RevertFlags, io: Io): Promise<ExitCode> {
  const [{ connect }, { carryOut, obstaclesIn, readObjects, tryOut }, { revertPlan }] = await Promise.all([
    import('../reconciler/api-server.ts'),
    import('../reconciler/revert.ts'),
    import('../translate/revert.ts'),
  ])
  const { rootNamespace } = loadSettings({ file: flags.settings, env: io.env, flags: { profile: flags.profile } })
  const scope = { rootNamespace, ...(flags.namespace && { namespaces: flags.namespace }) }
  const api = connect(flags.kubeconfig, flags.context)
  const { signal } = new AbortController()
  const objects = await readObjects(api, signal)
  const steps = revertPlan(objects, scope)
  if (steps.length === 0) {
    io.stdout.write('Nothing is left of sidestep here.\n')
    return 0
  }
  const obstacles = obstaclesIn(objects, steps, new Date())
  if (!flags.yes) {
    io.stdout.write(`${toSteps(steps)}\n`)
    const problems = flags.dryRun ? await tryOut(api, steps, { signal, isThorough: true }) : []
    io.stderr.write([...obstacles, ...problems].map(problem => `error: ${inert(problem)}\n`).join(''))
    io.stdout.write('Nothing has been changed; --yes carries it out.\n')
    return problems.length > 0 ? 2 : 0
  }
  const refusals = obstacles.length > 0 ? obstacles : await tryOut(api, steps, { signal })
  if (refusals.length > 0) {
    io.stderr.write(refusals.map(refusal => `error: ${inert(refusal)}\n`).join(''))
    return 2
  }
  const left = await carryOut(api, scope, { signal, onWrite: write => io.stdout.write(`${lineOf(write)}\n`) })
  if (left.length === 0) {
    io.stdout.write('Everything is as its author wrote it.\n')
    return 0
  }
  io.stdout.write(`\nThis is left; run the same command again when it has been seen to:\n\n${toSteps(left)}\n`)
  return 1
}

const verbs: Record<RevertWrite['verb'], string> = {
  restore: 'writes back',
  apply: 'applies',
  release: 'takes waypoint labels off',
  delete: 'deletes',
}

function lineOf({ verb, object }: RevertWrite): string {
  return inert(`${verbs[verb]} ${describe(object)}`)
}

/** Each step with its reason, and under what it waits for what it writes then. */
export function toSteps(steps: readonly RevertStep[]): string {
  return steps
    .map(({ what, why, writes }, i) => {
      const reasons = [...new Set(writes.map(({ waitsFor }) => waitsFor))].toSorted((a, b) => Number(!!a) - Number(!!b))
      const lines = reasons.flatMap(reason => [
        ...(reason ? [`     waits for ${inert(reason)}`] : []),
        ...writes.filter(({ waitsFor }) => waitsFor === reason).map(write => `       ${lineOf(write)}`),
      ])
      return [`${String(i + 1).padStart(2)}. ${what},`, `    ${why}`, ...lines, ''].join('\n')
    })
    .join('\n')
}
