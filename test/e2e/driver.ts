// What a reconciler does, without any judgement of its own: it sends every source through admission again, and keeps what
// translate() says beside it. Until src/reconciler does that, it stands in for it; what it shows is that the core and the
// webhook, driven like this, come to an end and stay there.
import { isDeepStrictEqual } from 'node:util'
import { pino } from 'pino'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { connect } from '../../src/reconciler/api-server.ts'
import { type LiveSnapshot, resources, startLiveSnapshot } from '../../src/reconciler/snapshot.ts'
import { isCompanion, sourceAnnotation, sourceKey } from '../../src/translate/companion.ts'
import { translate } from '../../src/translate/index.ts'
import type { Settings } from '../../src/translate/settings.ts'
import type { ClusterSnapshot } from '../../src/translate/snapshot.ts'
import type { Answer } from '../control-plane/client.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { until } from '../control-plane/until.ts'
import { History } from './history.ts'
import { pathOf } from './paths.ts'

/** What this needs to be allowed, and no more. */
const role = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'sidestep-driver' },
  rules: [
    ...resources.map(({ path }) => {
      const [apiGroup = '', , resource] = /^\/apis?\/(?:([^/]+)\/)?([^/]+)\/([^/]+)$/.exec(path)?.slice(1) ?? []
      return { apiGroups: [apiGroup], resources: [resource], verbs: ['get', 'list', 'watch'] }
    }),
    { apiGroups: [''], resources: ['namespaces'], verbs: ['patch'] },
    {
      apiGroups: ['security.istio.io'],
      resources: ['authorizationpolicies', 'requestauthentications', 'peerauthentications'],
      verbs: ['create', 'patch', 'delete'],
    },
    {
      apiGroups: ['gateway.networking.k8s.io'],
      resources: ['gateways', 'httproutes'],
      verbs: ['create', 'patch', 'delete'],
    },
    { apiGroups: ['networking.istio.io'], resources: ['virtualservices', 'gateways'], verbs: ['patch'] },
  ],
}

export class Driver {
  readonly history = new History()
  /** What the API server has refused it, which is nothing as long as it knows what it does. */
  readonly refusals: string[] = []
  readonly #controlPlane: ControlPlane
  readonly #settings: Settings
  readonly #live: LiveSnapshot

  /** Follows the cluster as user sidestep. The snapshot is the one that the webhook is to judge with. */
  static async start(controlPlane: ControlPlane, settings: Settings): Promise<Driver> {
    await controlPlane.apply(role)
    await controlPlane.grant('sidestep', role.metadata.name)
    const isAllowed = () => controlPlane.request('GET', '/api/v1/namespaces', { user: 'sidestep' })
    await until('the rights of sidestep to be in effect', async () => (await isAllowed()).status === 200)
    const driver = new Driver(controlPlane, settings)
    if (!(await driver.#live.synced)) throw new Error(`not read: ${driver.#live.missing().join(', ')}`)
    return driver
  }

  private constructor(controlPlane: ControlPlane, settings: Settings) {
    this.#controlPlane = controlPlane
    this.#settings = settings
    const api = this.history.listening(connect(controlPlane.kubeconfig('sidestep')))
    this.#live = startLiveSnapshot(api, { logger: pino({ level: 'silent' }) })
  }

  get cluster(): ClusterSnapshot {
    return this.#live.cluster
  }

  /** Rounds until one changes nothing, though it knew of everything. Returns how many that were. */
  async settle(): Promise<number> {
    for (let rounds = 1; rounds <= 12; rounds++) {
      const before = await this.#caughtUp()
      await this.round()
      if (isDeepStrictEqual(await this.#caughtUp(), before)) return rounds
    }
    throw new Error('every round changes something')
  }

  /** Every source once. */
  async round(): Promise<void> {
    for (const source of sourcesIn(this.cluster)) {
      const namespace = this.cluster.namespaces.get(source.metadata.namespace ?? '')
      // What goes is left to go.
      if (source.metadata.deletionTimestamp || namespace?.metadata.deletionTimestamp) continue
      await this.#keep(source)
    }
  }

  stop(): Promise<void> {
    return this.#live.stop()
  }

  /** Source first, then its companions in their order; what it does not want any more goes when nothing else is left to do. */
  async #keep(source: KubernetesObject): Promise<void> {
    const admitted = await this.#send('PATCH', pathOf(source), {}, 'application/merge-patch+json')
    // What the snapshot does not show yet is judged in the next round: translate() looks for the source there too.
    if (!admitted || !this.#knows(admitted)) return
    const { companions, denial } = translate(admitted, this.cluster, this.#settings)
    if (denial) return
    let isDone = true
    for (const companion of companions) {
      const path = `${pathOf(companion)}?fieldManager=sidestep&force=true`
      const applied = await this.#send('PATCH', path, companion, 'application/apply-patch+yaml')
      isDone &&= applied !== undefined && this.#knows(applied)
    }
    if (!isDone) return
    const wanted = companions.map(pathOf)
    for (const [path, { metadata }] of this.history.now) {
      if (metadata.annotations?.[sourceAnnotation] === sourceKey(source) && !wanted.includes(path))
        await this.#send('DELETE', path, { preconditions: { uid: metadata.uid } })
    }
  }

  /** Whether the watches have brought this very version. */
  #knows(object: KubernetesObject): boolean {
    return this.history.now.get(pathOf(object))?.metadata.resourceVersion === object.metadata.resourceVersion
  }

  async #send(method: string, path: string, body: object, contentType?: string) {
    const options = { user: 'sidestep', userAgent: 'sidestep', body, ...(contentType && { contentType }) } as const
    const { status, body: answer }: Answer = await this.#controlPlane.request(method, path, options)
    if (status < 300) return answer as KubernetesObject
    // Gone in the meantime; a companion is applied and so never missing.
    if (status !== 404) this.refusals.push(`${method} ${path}: ${status} ${answer.message ?? answer}`)
    return undefined
  }

  /** Waits until the watches have brought all that is stored, and returns its versions. */
  #caughtUp(): Promise<string[]> {
    return until('the snapshot to catch up', async () => {
      const lists = followed.map(async ({ apiVersion, kind, path }) => {
        const { body } = await this.#controlPlane.demand('GET', path)
        return (body.items as KubernetesObject[]).map(item => version({ ...item, apiVersion, kind }))
      })
      const stored = (await Promise.all(lists)).flat().sort()
      const heard = [...this.history.now.values()].filter(isFollowed)
      return isDeepStrictEqual(heard.map(version).sort(), stored) && stored
    })
  }
}

/** The kinds that anything here depends on. */
const followed = resources.filter(isFollowed)

function isFollowed({ apiVersion, kind }: Pick<KubernetesObject, 'apiVersion' | 'kind'>): boolean {
  const isCore = ['Namespace', 'Service', 'Pod', 'AuthorizationPolicy', 'RequestAuthentication', 'HTTPRoute'].includes(
    kind,
  )
  return isCore || (kind === 'Gateway' && apiVersion.startsWith('gateway.networking.k8s.io/'))
}

function version(object: KubernetesObject): string {
  return `${pathOf(object)} ${object.metadata.resourceVersion}`
}

function sourcesIn(cluster: ClusterSnapshot): KubernetesObject[] {
  const { peerAuthentications, requestAuthentications, authorizationPolicies, virtualServices, istioGateways } = cluster
  const collections = [
    peerAuthentications,
    requestAuthentications,
    authorizationPolicies,
    virtualServices,
    istioGateways,
  ]
  const namespaced = collections.flatMap(collection => [...collection.values()].flatMap(named => [...named.values()]))
  return [...cluster.namespaces.values(), ...namespaced].filter(object => !isCompanion(object))
}
