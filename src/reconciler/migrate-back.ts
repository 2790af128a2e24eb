// Taking namespaces back to sidecars while sidestep goes on for the others: it is told to let go of them, and then what it
// has written is reverted, gate by gate.
import { modeLabel } from '../translate/mode.ts'
import { cutOverAnnotation } from '../translate/namespace/cut-over.ts'
import { injectionOf } from '../translate/namespace/injection.ts'
import { isBare } from '../translate/restarts.ts'
import { nextWrites, type RevertStep, type RevertWrite, revertPlan } from '../translate/revert.ts'
import type { ApiServer } from './api-server.ts'
import { gate, patch, restarted, type Waiting } from './migrate.ts'
import { carryOut, obstaclesIn, RevertError, readObjects, tryOut } from './revert.ts'

export interface MigrateBackOptions extends Waiting {
  namespaces: readonly string[]
  rootNamespace: string
  onWrite: (write: RevertWrite) => void
}

/**
 * Returns what is left when a gate did not open in time.
 * @throws RevertError when sidestep would do everything again
 */
export async function migrateBack(api: ApiServer, options: MigrateBackOptions): Promise<RevertStep[]> {
  const { namespaces, rootNamespace, signal, onWrite } = options
  const scope = { rootNamespace, namespaces, isPartial: true }
  await letGo(api, options)
  const objects = await readObjects(api, signal)
  const steps = revertPlan(objects, scope)
  const obstacles = obstaclesIn(objects, steps, new Date())
  const problems = obstacles.length > 0 ? obstacles : await tryOut(api, steps, { signal })
  if (problems.length > 0) throw new RevertError(problems.join('\n'))
  for (;;) {
    const left = await carryOut(api, scope, { signal, onWrite })
    if (left.length === 0) return []
    for (const namespace of await injecting(api, options)) {
      const standstill = await restarted(api, namespace, isBare, { ...options, toSidecars: true })
      if (standstill) return left
    }
    const isOpen = await gate(options, async () => {
      const now = revertPlan(await readObjects(api, signal), scope)
      if (now.length === 0 || nextWrites(now).length > 0) return undefined
      return now.flatMap(({ writes }) => writes).find(({ waitsFor }) => waitsFor)?.waitsFor
    })
    if (!isOpen) return left
  }
}

/**
 * Both in one write: without the annotation alone nothing would change, since what is cut over stays so, but with the label
 * alone it would cut the namespace over again as soon as somebody turns sidestep on there.
 */
async function letGo(api: ApiServer, { namespaces, signal, onEvent }: MigrateBackOptions): Promise<void> {
  const objects = await readObjects(api, signal)
  for (const object of objects.filter(({ kind, metadata }) => kind === 'Namespace' && isNamed(metadata.name))) {
    const { labels, annotations } = object.metadata
    if (labels?.[modeLabel] === 'off' && annotations?.[cutOverAnnotation] === undefined) continue
    await patch(api, object, { labels: { [modeLabel]: 'off' }, annotations: { [cutOverAnnotation]: null } }, signal)
    onEvent({ kind: 'wrote', what: `${modeLabel}=off on Namespace ${object.metadata.name}` })
  }

  function isNamed(name: string | undefined): boolean {
    return namespaces.includes(name ?? '')
  }
}

/** The Namespaces where a pod that is restarted gets a sidecar. */
async function injecting(api: ApiServer, { namespaces, signal }: MigrateBackOptions): Promise<string[]> {
  const objects = await readObjects(api, signal)
  return objects
    .filter(({ kind, metadata }) => kind === 'Namespace' && injectionOf(metadata.labels ?? {}) !== undefined)
    .flatMap(({ metadata: { name } }) => (name !== undefined && namespaces.includes(name) ? [name] : []))
}
