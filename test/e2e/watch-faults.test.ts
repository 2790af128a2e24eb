// What goes wrong between a live snapshot and a real API server. After each fault the snapshot holds what is stored, and
// whoever listened to its changes knows the same: nothing is lost, and nothing told twice.
import { readFile, writeFile } from 'node:fs/promises'
import { type AddressInfo, connect as connectTo, createServer, type Socket } from 'node:net'
import { isDeepStrictEqual } from 'node:util'
import t, { type Test } from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { connect } from '../../src/reconciler/api-server.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { type Change, resources, startLiveSnapshot } from '../../src/reconciler/snapshot.ts'
import { trim } from '../../src/reconciler/trim.ts'
import { listOnce, nameOf } from '../../src/reconciler/watch.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'

/** Where the snapshot connects to, in place of the API server. */
class Wire {
  readonly #pairs = new Set<[Socket, Socket]>()
  readonly #server
  isOpen = true

  constructor(target: URL) {
    this.#server = createServer(client => {
      if (!this.isOpen) return void client.destroy()
      const server = connectTo(Number(target.port), target.hostname)
      const pair: [Socket, Socket] = [client, server]
      this.#pairs.add(pair)
      for (const [one, other] of [pair, [server, client]] as const) {
        one.pipe(other)
        one.on('error', () => {})
        one.on('close', () => {
          other.destroy()
          this.#pairs.delete(pair)
        })
      }
    })
  }

  async listen(): Promise<string> {
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  /** Forwards nothing more through the connections that there are, and closes none of them. Returns how many. */
  stall(): number {
    for (const pair of this.#pairs)
      for (const socket of pair) {
        socket.unpipe()
        socket.pause()
      }
    return this.#pairs.size
  }

  cut(): void {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy()
  }

  close(): void {
    this.cut()
    this.#server.close()
  }
}

const policiesPath = '/apis/security.istio.io/v1/namespaces/default/authorizationpolicies'
const crdPath = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions/grpcroutes.gateway.networking.k8s.io'
const routesPath = '/apis/gateway.networking.k8s.io/v1/namespaces/default/grpcroutes'
// A look for a kind that is absent comes so late that none is by chance.
const delays = { first: 50, longest: 1000, absent: 600_000 }

const role = (verbsOfPolicies: string[]) => ({
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'sidestep-reader' },
  rules: resources.map(resource => {
    const [name = '', ...group] = nameOf(resource).split('.')
    const verbs = name === 'authorizationpolicies' ? verbsOfPolicies : ['list', 'watch']
    return { apiGroups: [group.join('.')], resources: [name], verbs }
  }),
})

t.test('after every fault, the snapshot holds what is stored', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  const crd = (await controlPlane.demand('GET', crdPath)).body
  await controlPlane.demand('DELETE', crdPath)
  const isGone = async () => (await controlPlane.request('GET', routesPath)).status === 404
  await until('GRPCRoute to be uninstalled', isGone)
  await controlPlane.apply(role(['list']))
  await controlPlane.grant('sidestep', 'sidestep-reader')
  await write(controlPlane, 'start')

  const wire = new Wire(new URL(controlPlane.url))
  const kubeconfig = `${controlPlane.kubeconfig('sidestep')}.wired`
  const text = await readFile(controlPlane.kubeconfig('sidestep'), 'utf8')
  await writeFile(kubeconfig, text.replace(controlPlane.url, await wire.listen()))

  const logs: { level: string; kind?: string; status?: number; message: string }[] = []
  const log = (level: string) => (line: { kind?: string; err?: { status?: number } }, message: string) => {
    logs.push({
      level,
      message,
      ...(line.kind && { kind: line.kind }),
      ...(line.err?.status && { status: line.err.status }),
    })
  }
  const live = startLiveSnapshot(connect(kubeconfig, undefined, { watch: 7000 }), {
    logger: { debug: log('debug'), info: log('info'), warn: log('warn') } as never,
    delays,
  })
  const heard = new Heard()
  live.subscribe(change => heard.hear(change))
  t.teardown(async () => {
    await live.stop()
    wire.close()
  })

  /** The snapshot comes to hold what is stored, in the versions in which it is stored. */
  const holds = async (t: Test) => {
    let stored = new Map<string, KubernetesObject>()
    const isCaughtUp = async () => {
      stored = await everything(controlPlane)
      return isDeepStrictEqual(new Map(live.objects), stored)
    }
    await until('the snapshot to hold what is stored', isCaughtUp).catch(() => {})
    t.strictSame(sorted(live.objects), sorted(stored), 'what is stored')
    t.strictSame(sorted(heard.objects), sorted(withoutVersions(stored)), 'what listeners have heard')
    t.strictSame(heard.faults, [], 'each change once, and in its place')
    const { capabilities, authorizationPolicies, services } = snapshotOf(stored.values(), 'observed')
    t.strictSame(live.cluster.authorizationPolicies.get('default'), authorizationPolicies.get('default'))
    t.strictSame(live.cluster.services.get('default'), services.get('default'))
    t.strictSame(live.cluster.capabilities.httpRoute, capabilities.httpRoute)
  }

  t.test('at the start', async t => {
    t.equal(await live.synced, true)
    await holds(t)
    t.ok(live.cluster.capabilities.httpRoute.timeouts, 'read out of the outline of the CRD')
  })

  t.test('when connections break', async t => {
    wire.cut()
    await write(controlPlane, 'broken')
    await holds(t)
  })

  t.test('when connections stall without closing', async t => {
    t.ok(wire.stall() >= resources.length - 2)
    await write(controlPlane, 'stalled')
    await holds(t)
    t.ok(logs.some(({ level, message }) => level === 'warn' && message === 'watch failed, trying again'))
  })

  t.test('when it was away for so long that its versions are forgotten', async t => {
    const before = logs.length
    wire.isOpen = false
    wire.cut()
    await write(controlPlane, 'forgotten')
    await controlPlane.compact()
    await controlPlane.restartApiServer()
    wire.isOpen = true
    await holds(t)
    const expired = logs.slice(before).filter(({ message }) => message === 'watch is too old, listing again')
    t.ok(
      expired.some(({ kind }) => kind === 'Service'),
      'or this would show nothing',
    )
  })

  t.test('when the API server is restarted, and the rest of a list forgotten before it is read', async t => {
    const api = connect(controlPlane.kubeconfig())
    const resource = resources.find(({ kind }) => kind === 'CustomResourceDefinition')
    if (!resource) throw new Error('no CRDs')
    const statuses: unknown[] = []
    const found = new Set<string>()
    let pages = 0
    const forgetful: typeof api = {
      ...api,
      list: async (...given) => {
        // The second page would be served from memory, had the API server not lost that.
        if (++pages === 2) {
          await write(controlPlane, 'listed')
          await controlPlane.compact()
          await controlPlane.restartApiServer()
        }
        return api.list(...given).catch(error => {
          statuses.push(error.status)
          throw error
        })
      },
    }
    const put = ({ metadata: { name = '' } }: KubernetesObject) => void found.add(name)
    await listOnce(forgetful, { ...resource, pageSize: 3 }, put, new AbortController().signal)
    t.strictSame(statuses, [410])
    const { body } = await controlPlane.demand('GET', resource.path)
    t.strictSame([...found].sort(), body.items.map((item: KubernetesObject) => item.metadata.name).sort())
    await holds(t)
  })

  t.test('when RBAC lacks a verb, and when it is granted', async t => {
    const forbidden = ['AuthorizationPolicy (security.istio.io/v1)']
    await until('that alone to be missing', async () => isDeepStrictEqual(live.missing(), forbidden))
    const said = () => logs.filter(({ level, message }) => level !== 'debug' && message.startsWith('RBAC'))
    t.ok(
      said().some(({ message }) =>
        message.startsWith('RBAC forbids watch on authorizationpolicies.security.istio.io;'),
      ),
    )
    logs.length = 0
    await controlPlane.apply(role(['list', 'watch']))
    await until('nothing to be missing', async () => live.missing().length === 0)
    t.match(said(), [{ message: 'RBAC allows watch on authorizationpolicies.security.istio.io now' }])
    await write(controlPlane, 'granted')
    await holds(t)
  })

  t.test('when a kind is installed, and when it goes', async t => {
    const { resourceVersion: _, uid: __, creationTimestamp: ___, managedFields: ____, ...metadata } = crd.metadata
    t.equal(live.cluster.capabilities.grpcRoute, false)
    await controlPlane.apply({ ...crd, metadata, status: undefined }, { serverSide: true })
    await until('GRPCRoute to be served', async () => !(await isGone()))
    await controlPlane.apply({
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'GRPCRoute',
      metadata: { name: 'route', namespace: 'default' },
      spec: { rules: [{ backendRefs: [{ name: 'x', port: 80 }] }] },
    })
    const route = () => live.cluster.grpcRoutes.get('default')?.get('route')
    await until('the route to be known', async () => route() !== undefined, { seconds: 10 })
    t.equal(live.cluster.capabilities.grpcRoute, true)
    await holds(t)
    await controlPlane.demand('DELETE', crdPath)
    await until('the route to be gone', async () => route() === undefined)
    await until('GRPCRoute to be uninstalled', isGone)
    await holds(t)
    t.equal(live.cluster.capabilities.grpcRoute, false)
  })

  t.test('and says when it knows of a write', async t => {
    const { body } = await controlPlane.demand('POST', policiesPath, { body: policy('known') })
    await until('the watch to bring it', async () => live.knows(pathOf(body), body.metadata.resourceVersion))
    t.ok(live.objects.has(pathOf(body)))
  })
})

/** Something new, something changed and something gone, of several kinds. */
async function write(controlPlane: ControlPlane, name: string): Promise<void> {
  const labels = { at: name }
  await controlPlane.apply([
    policy(name),
    policy('kept', { labels }),
    service(name),
    service('kept', { labels }),
    // Its kept form stays as it is.
    service('busy', { annotations: { 'example.com/heartbeat': name } }),
  ])
  const { stdout } = await controlPlane.kubectl([
    'get',
    'authorizationpolicy,service',
    '--output=name',
    '--namespace=default',
  ])
  const others = stdout
    .split('\n')
    .filter(each => each && !/\/(kept|busy|kubernetes)$/.test(each) && !each.endsWith(`/${name}`))
  if (others.length > 0) await controlPlane.kubectl(['delete', '--namespace=default', ...others])
}

function policy(name: string, metadata: object = {}): KubernetesObject {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'default', ...metadata },
    spec: { rules: [{}] },
  } as KubernetesObject
}

function service(name: string, metadata: object = {}): KubernetesObject {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'default', ...metadata },
    spec: { ports: [{ port: 80 }] },
  } as KubernetesObject
}

/** What listeners make of the changes that they are told. */
class Heard {
  readonly objects = new Map<string, KubernetesObject>()
  readonly faults: string[] = []

  hear({ path, before, after }: Change): void {
    const known = this.objects.get(path)
    if (!isDeepStrictEqual(known, before && withoutVersion(before))) this.faults.push(`${path} was not so before`)
    const now = after && withoutVersion(after)
    if (isDeepStrictEqual(known, now)) this.faults.push(`${path} has not changed`)
    if (now) this.objects.set(path, now)
    else this.objects.delete(path)
  }
}

/** As a snapshot would keep it. */
async function everything(controlPlane: ControlPlane): Promise<Map<string, KubernetesObject>> {
  const lists = resources.map(async ({ apiVersion, kind, path }) => {
    const { status, body } = await controlPlane.request('GET', path)
    const items: KubernetesObject[] = status === 404 ? [] : body.items
    return items.map(item => trim({ ...item, apiVersion, kind }))
  })
  return new Map((await Promise.all(lists)).flat().map(object => [pathOf(object), object]))
}

function withoutVersion(object: KubernetesObject): KubernetesObject {
  const { resourceVersion: _, ...metadata } = object.metadata
  return { ...object, metadata }
}

function withoutVersions(objects: ReadonlyMap<string, KubernetesObject>): Map<string, KubernetesObject> {
  return new Map([...objects].map(([path, object]) => [path, withoutVersion(object)]))
}

function sorted(objects: ReadonlyMap<string, KubernetesObject>): [string, KubernetesObject][] {
  return [...objects].sort(([a], [b]) => (a < b ? -1 : 1))
}
