// Writes that are tried out before they are made: of a dry run nothing may be stored, in the Namespace or beside it.
import type { Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { collectionOf, pathOf } from '../../src/reconciler/paths.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { dryRun, type Send } from './controllers/send.ts'

const kinds = [
  ...['Service', 'Pod', 'ConfigMap'].map(kind => ({ apiVersion: 'v1', kind })),
  { apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding' },
  ...['AuthorizationPolicy', 'RequestAuthentication', 'PeerAuthentication'].map(kind => ({
    apiVersion: 'security.istio.io/v1',
    kind,
  })),
  ...['VirtualService', 'Gateway'].map(kind => ({ apiVersion: 'networking.istio.io/v1', kind })),
  ...['Gateway', 'HTTPRoute'].map(kind => ({ apiVersion: 'gateway.networking.k8s.io/v1', kind })),
]

/** One Namespace of an API server, with all that is in it. */
export class Place {
  readonly #controlPlane: ControlPlane
  readonly #name: string

  constructor(controlPlane: ControlPlane, name: string) {
    this.#controlPlane = controlPlane
    this.#name = name
  }

  /** The Namespace and everything in it, each as `path resourceVersion generation`. */
  async versions(): Promise<string[]> {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.#name } }
    const { status, body } = await this.#controlPlane.request('GET', pathOf(namespace))
    const lists = kinds.map(async kind => {
      const path = collectionOf({ ...kind, metadata: { namespace: this.#name } })
      const { items } = (await this.#controlPlane.demand('GET', path)).body
      return (items as KubernetesObject[]).map(item => ({ ...item, ...kind }))
    })
    const objects = [...(status === 200 ? [body as KubernetesObject] : []), ...(await Promise.all(lists)).flat()]
    return objects.map(object => `${pathOf(object)} ${object.metadata.resourceVersion} ${object.metadata.generation}`)
  }

  /** What a controller does, first as a dry run and then really. */
  async triedAndDone<T>(t: Test, what: string, send: Send, act: (send: Send) => Promise<T>): Promise<T> {
    await this.#storesNothing(t, what, () => act(dryRun(send)))
    return act(send)
  }

  /** The same with a command of kubectl. */
  async triedAndRun(t: Test, args: string[], object?: object): Promise<void> {
    const run = async (flags: string[]) => {
      const { code, stderr } = await this.#controlPlane.kubectl([...args, ...flags], {
        ...(object && { stdin: JSON.stringify(object) }),
      })
      if (code !== 0) throw new Error(stderr)
    }
    await this.#storesNothing(t, `kubectl ${args.join(' ')}`, () => run(['--dry-run=server']))
    await run([])
  }

  async #storesNothing(t: Test, what: string, attempt: () => Promise<unknown>): Promise<void> {
    const before = await this.versions()
    await attempt()
    t.strictSame(await this.versions(), before, `${what}: a dry run stores nothing`)
  }
}
