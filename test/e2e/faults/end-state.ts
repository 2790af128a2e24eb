// What is left to do in a cluster, judged by translate() from what the API server has stored and by nothing of the reconciler.
import type { KubernetesObject } from '../../../src/apis/core.ts'
import { connect } from '../../../src/reconciler/api-server.ts'
import { editorsOf } from '../../../src/reconciler/ownership.ts'
import { pathOf } from '../../../src/reconciler/paths.ts'
import { contentOf, isInPlace } from '../../../src/reconciler/plan.ts'
import { resources } from '../../../src/reconciler/snapshot.ts'
import { isEqual } from '../../../src/translate/canonical.ts'
import { isCompanion } from '../../../src/translate/companion.ts'
import { isTranslated, translate } from '../../../src/translate/index.ts'
import { profiles } from '../../../src/translate/profiles.ts'
import { snapshotOf } from '../../../src/translate/snapshot.ts'
import type { ControlPlane } from '../../control-plane/index.ts'
import { storedIn } from '../peace/stored.ts'

/** One line for each thing that is not as translate() says: empty when the migration is over. */
export async function unfinished(controlPlane: ControlPlane): Promise<string[]> {
  const objects = await everything(controlPlane)
  const stored = new Map(objects.map(object => [pathOf(object), object]))
  const cluster = snapshotOf(objects, 'observed')
  const wanted = new Set<string>()
  const lines: string[] = []
  for (const source of objects.filter(object => isTranslated(object) && !isCompanion(object))) {
    const { object, companions, warnings, denial } = translate(source, cluster, profiles.kubeflow)
    const name = pathOf(source)
    for (const { code } of denial?.reasons ?? []) lines.push(`${name} is denied: ${code}`)
    for (const { code } of warnings) if (code.endsWith('-PENDING')) lines.push(`${name} waits: ${code}`)
    if (!isEqual(contentOf(object), contentOf(source))) lines.push(`${name} is not rewritten`)
    for (const companion of companions) {
      const path = pathOf(companion)
      wanted.add(path)
      const found = stored.get(path)
      if (!found) lines.push(`${path} is missing, of ${name}`)
      else if (!isInPlace(companion, withEditors(found))) lines.push(`${path} is another, of ${name}`)
    }
  }
  for (const object of objects.filter(isCompanion))
    if (!wanted.has(pathOf(object))) lines.push(`${pathOf(object)} has no source that wants it`)
  return lines
}

function withEditors(object: KubernetesObject): KubernetesObject {
  return { ...object, metadata: { ...object.metadata, managedFields: editorsOf(object) } }
}

async function everything(controlPlane: ControlPlane): Promise<KubernetesObject[]> {
  const api = connect(controlPlane.kubeconfig())
  const lists = resources.map(async ({ path, query = {}, apiVersion, kind }) => {
    const { items } = await api.list(path, query, AbortSignal.timeout(30_000))
    return items.map(item => ({ ...item, apiVersion, kind }))
  })
  return (await Promise.all(lists)).flat()
}

/** What is stored in the Namespace of a team, and itself, without what differs from one team to the next. */
export async function contentOfTeam(controlPlane: ControlPlane, team: string): Promise<unknown> {
  const objects = await storedIn(controlPlane, team)
  const lines = objects.map(({ kind, metadata, ...object }) => {
    const { name, labels, annotations, ownerReferences = [] } = metadata
    const { clusterIP: _, clusterIPs: __, ...spec } = (object as { spec?: Record<string, unknown> }).spec ?? {}
    const owners = ownerReferences.map(({ kind, name }) => `${kind} ${name}`)
    return { kind, name, labels, annotations, owners, spec }
  })
  const text = JSON.stringify(lines.sort((one, other) => (key(one) < key(other) ? -1 : 1)))
  // Digests of what sidestep wrote differ where the name is part of it.
  const digests = /((?:wrote|sidestep\.dev\/applied)\\*":\\*")[0-9a-f]{16}/g
  return JSON.parse(text.replaceAll(team, 'TEAM').replace(digests, '$1DIGEST'))
}

function key({ kind, name }: { kind: string; name: string | undefined }): string {
  return `${kind} ${name}`
}
