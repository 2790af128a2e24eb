// What `sidestep migrate` would do, for a person: the steps of each namespace with what happens in them.
import { type Migration, migrationStepOf } from '../audit/migration.ts'
import { type MigrationStep, migrationSteps } from '../translate/migration.ts'
import type { Restart } from '../translate/restarts.ts'
import { count, inert } from './print.ts'

/** What the command does at a step, and what it leaves to sidestep. */
const titles: Record<MigrationStep, string> = {
  prepare: 'labels it sidestep.dev/mode=enforce, and waits for what has to stand before any pod is captured',
  capture: 'annotates it sidestep.dev/cut-over=true; sidestep takes injection off and labels it for ambient',
  restart: 'waits until no pod has a sidecar; --restart restarts them, one workload after another',
  enrol: 'waits while sidestep moves the policies, opens the guards, and has the waypoint serve it',
  routes: 'waits until routes are accepted and VirtualServices parked',
  verify: 'waits until istiod says that all of it is in force',
}

export function toPlan(migration: Migration): string {
  const { namespace, steps, restarts, warnings, writes } = migration
  if (migrationSteps.every(step => steps[step].isDone)) return `${inert(namespace)} is in ambient already.\n`
  const lines = migrationSteps.flatMap(name => {
    const details = name === 'restart' ? restarts.map(restartLine) : detailsOf(name, migration)
    const isDone = steps[name].isDone && (name !== 'verify' || steps.routes.isDone)
    return [
      `  ${isDone ? 'done' : '    '}  ${name.padEnd(8)}  ${titles[name]}`,
      ...details.map(line => `${indent}${line}`),
    ]
  })
  const told = warnings.map(warning => `  warning ${inert(warning)}`)
  const sidecars = restarts.reduce((sum, { pods }) => sum + pods, 0)
  const written = writes.filter(({ isDone }) => !isDone).length
  return [
    `${inert(namespace)} goes to ambient: ${count(sidecars, 'pod')} with sidecars, ${count(written, 'step')} of sidestep's left`,
    ...lines,
    ...(told.length > 0 ? ['', ...told] : []),
    '',
  ].join('\n')
}

const indent = ' '.repeat(18)

/** What sidestep writes at a step, with what is done of it. */
function detailsOf(name: MigrationStep, { writes, steps }: Migration): string[] {
  const its = writes.filter(step => step.name !== 'capture' && migrationStepOf(step) === name)
  if (name === 'verify' && its.length === 0 && steps.routes.isDone && steps.restart.isDone)
    return steps.verify.left.map(inert)
  return its.map(({ title, objects, isDone }) => inert(`${isDone ? 'done: ' : ''}${title}: ${objects.join(', ')}`))
}

/** The command that restarts it, or what a person does. */
export function restartLine({ kind, namespace, name, pods, byHand }: Restart): string {
  if (byHand !== undefined) return inert(`${kind} ${namespace}/${name}, ${count(pods, 'pod')}: ${byHand}`)
  return inert(`kubectl -n ${namespace} rollout restart ${kind.toLowerCase()}/${name}`)
}
