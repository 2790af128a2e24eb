// `sidestep migrate`: what there is to do for namespaces to go from sidecars to ambient, and with --yes the doing, gate by gate.
import type { KubernetesObject } from '../apis/core.ts'
import type { Migration } from '../audit/migration.ts'
import type { MigrationEvent, Standstill, Waiting } from '../reconciler/migrate.ts'
import type { Preflight } from '../reconciler/migrate-preflight.ts'
import { loadProfile } from '../settings.ts'
import { type MigrationStep, migrationSteps } from '../translate/migration.ts'
import type { Restart } from '../translate/restarts.ts'
import type { RevertStep } from '../translate/revert.ts'
import type { Settings } from '../translate/settings.ts'
import { snapshotOf } from '../translate/snapshot.ts'
import type { ExitCode, Io } from './io.ts'
import { describe } from './objects.ts'
import { inert } from './print.ts'
import { restartLine, toPlan } from './print-migration.ts'
import { type Progress, progressOn } from './progress.ts'

export interface MigrateFlags {
  kubeconfig?: string
  context?: string
  settings?: string
  profile?: string
  until: MigrationStep
  restart?: true
  revert?: true
  timeout: number
  interval: number
  yes?: true
}

export async function runMigrate(names: readonly string[], flags: MigrateFlags, io: Io): Promise<ExitCode> {
  const { settings, given } = loadProfile({ file: flags.settings, env: io.env, flags: { profile: flags.profile } })
  const { signal, end } = interruption(io)
  const progress = progressOn(io)
  try {
    const run = flags.revert ? back : over
    return await run([...new Set(names)], { flags, io, settings, given, signal, progress })
  } catch (error) {
    if (!signal.aborted) throw error
    progress.clear()
    io.stderr.write('interrupted; run it again to go on\n')
    return 130
  } finally {
    progress.clear()
    end()
  }
}

interface Subject {
  flags: MigrateFlags
  io: Io
  settings: Settings
  /** What the person's own file says of them. */
  given: Partial<Settings>
  signal: AbortSignal
  progress: Progress
}

/** The signal of a test, or else one that a person's Ctrl-C aborts; a second one ends the process. */
function interruption({ signal }: Io): { signal: AbortSignal; end(): void } {
  if (signal) return { signal, end: () => {} }
  const controller = new AbortController()
  const onSignal = () => controller.abort()
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal)
  return { signal: controller.signal, end: () => void process.off('SIGINT', onSignal).off('SIGTERM', onSignal) }
}

// To ambient -------------------------------------------------------------------------------------------------------

async function over(names: string[], subject: Subject): Promise<ExitCode> {
  const { flags, io, settings, given, signal, progress } = subject
  const [{ connect }, { readAll }, { migrate }, { preflight }, { migrationOf }, { idleSettings }] = await Promise.all([
    import('../reconciler/api-server.ts'),
    import('../reconciler/read-all.ts'),
    import('../reconciler/migrate.ts'),
    import('../reconciler/migrate-preflight.ts'),
    import('../audit/migration.ts'),
    import('../audit/idle-settings.ts'),
  ])
  const api = connect(flags.kubeconfig, flags.context)
  const reading = await readAll(api, signal, (kinds, all, count) =>
    progress.show(`reading: ${kinds} of ${all} kinds, ${count} objects`),
  )
  const found = await preflight(api, names, reading, settings, signal)
  progress.clear()
  const isThere = (name: string) =>
    reading.objects.some(({ kind, metadata }) => kind === 'Namespace' && metadata.name === name)
  const judge = (name: string) => (objects: readonly KubernetesObject[]) => migrationOf(name, objects, settings)
  const migrations = names.filter(isThere).map(name => judge(name)(reading.objects))
  if (!flags.yes) io.stdout.write(migrations.map(toPlan).join('\n'))
  const idle = idleSettings(given, snapshotOf(reading.objects, 'observed'), reading.objects)
  if (tellFlight({ ...found, warnings: [...found.warnings, ...idle] }, io)) return 2
  const blocked = migrations.filter(({ denials }) => denials.length > 0)
  if (blocked.length > 0) {
    io.stderr.write(blocked.map(refusal).join(''))
    return 1
  }
  if (!flags.yes) {
    io.stdout.write('\nNothing has been changed; --yes carries it out.\n')
    return 0
  }
  for (const name of names) {
    const teller = new Teller(name, subject)
    const standstill = await migrate(api, name, { ...teller.waiting(), until: flags.until, judge: judge(name) })
    progress.clear()
    if (standstill) {
      io.stderr.write(standstillText(name, standstill))
      return 1
    }
    io.stdout.write(teller.conclusion(flags.until))
  }
  return 0
}

function tellFlight({ problems, warnings }: Preflight, { stderr }: Io): boolean {
  stderr.write(warnings.map(warning => `warning: ${inert(warning)}\n`).join(''))
  stderr.write(problems.map(problem => `error: ${inert(problem)}\n`).join(''))
  return problems.length > 0
}

function refusal({ namespace, denials }: Migration): string {
  const codes = [...new Set(denials.map(denial => denial.split(' ')[0]))]
  const lines = denials.map(denial => `  ${inert(denial)}\n`).join('')
  return `error: ${namespace} is blocked:\n${lines}See sidestep explain ${codes.join(', sidestep explain ')}.\n`
}

function standstillText(name: string, { step, left }: Standstill): string {
  const lines = left.map(line => `  ${inert(line)}\n`).join('')
  return `error: ${name} does not get past ${step}:\n${lines}Run the same command again when that is seen to.\n`
}

// Back to sidecars -------------------------------------------------------------------------------------------------

async function back(names: string[], subject: Subject): Promise<ExitCode> {
  const { flags, io, settings, signal, progress } = subject
  const { rootNamespace } = settings
  const [{ connect }, { migrateBack }, { readObjects }, { revertPlan }, { toSteps }] = await Promise.all([
    import('../reconciler/api-server.ts'),
    import('../reconciler/migrate-back.ts'),
    import('../reconciler/revert.ts'),
    import('../translate/revert.ts'),
    import('./revert.ts'),
  ])
  const api = connect(flags.kubeconfig, flags.context)
  const objects = await readObjects(api, signal)
  const absent = names.filter(
    name => !objects.some(({ kind, metadata }) => kind === 'Namespace' && metadata.name === name),
  )
  if (absent.length > 0) {
    io.stderr.write(`error: Namespace ${inert(absent.join(', '))} does not exist; look at the name, and at --context\n`)
    return 2
  }
  const ready = `sidestep lets go of ${names.join(', ')}: label sidestep.dev/mode=off, which stays`
  if (!flags.yes) {
    const steps: RevertStep[] = revertPlan(objects, { rootNamespace, namespaces: names, isPartial: true })
    io.stdout.write(`First ${ready}.\n${steps.length > 0 ? `\n${toSteps(steps)}` : ''}`)
    io.stdout.write('\nNothing has been changed; --yes carries it out.\n')
    return 0
  }
  const teller = new Teller(names.join(', '), subject)
  const onWrite = ({ verb, object }: { verb: string; object: KubernetesObject }) => {
    progress.clear()
    io.stdout.write(`${inert(`${verb} ${describe(object)}`)}\n`)
  }
  const left = await migrateBack(api, { ...teller.waiting(), namespaces: names, rootNamespace, onWrite })
  progress.clear()
  if (left.length > 0) {
    io.stdout.write(`\nThis is left; run the same command again when it has been seen to:\n\n${toSteps(left)}`)
    return 1
  }
  io.stdout.write(`${names.join(', ')}: everything is as its author wrote it; the label sidestep.dev/mode=off stays.\n`)
  return 0
}

// Telling ----------------------------------------------------------------------------------------------------------

/** What happens, a line for each step; what is waited for, on the line that a terminal writes over. */
class Teller {
  readonly #name: string
  readonly #subject: Subject
  readonly #told = new Set<string>()
  #isMoved = false

  constructor(name: string, subject: Subject) {
    this.#name = name
    this.#subject = subject
  }

  waiting(): Waiting {
    const { flags, signal } = this.#subject
    return {
      signal,
      timeout: flags.timeout * 1000,
      interval: flags.interval * 1000,
      isRestarting: flags.restart === true,
      onEvent: event => this.#tell(event),
    }
  }

  /** When the last step has been reached. */
  conclusion(until: MigrationStep): string {
    const isWhole = until === migrationSteps.at(-1)
    if (isWhole && !this.#isMoved) return `${this.#name} is in ambient already.\n`
    return isWhole
      ? `${this.#name} is in ambient.\n`
      : `${this.#name}: ${until} is done; that is as far as was asked.\n`
  }

  #tell(event: MigrationEvent): void {
    const { progress } = this.#subject
    switch (event.kind) {
      case 'waiting':
        progress.show(inert(`${this.#name}: waits for ${event.what}`).slice(0, 110))
        return
      case 'begun':
        this.#isMoved = true
        this.#line(`${event.step} …`)
        return
      case 'done':
      case 'done already':
        this.#line(`${event.step}: ${event.kind}`)
        return
      case 'wrote':
        this.#isMoved = true
        this.#line(`writes ${event.what}`)
        return
      case 'restarted':
        this.#line(`restarts ${event.restart.kind} ${event.restart.name}`)
        return
      case 'restarts':
        this.#restarts(event.restarts)
    }
  }

  #restarts(restarts: Restart[]): void {
    const lines = restarts.map(restartLine)
    const text = lines.join('\n')
    if (this.#told.has(text)) return
    this.#told.add(text)
    this.#line(`waits until this has been restarted:\n${lines.map(line => `  ${line}`).join('\n')}`)
  }

  #line(text: string): void {
    const { io, progress } = this.#subject
    progress.clear()
    io.stdout.write(`${this.#name}: ${inertLines(text)}\n`)
  }
}

function inertLines(text: string): string {
  return text.split('\n').map(inert).join('\n')
}
