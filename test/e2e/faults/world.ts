// A cluster with Kubeflow in it, in which whole teams wait to be migrated, and the replicas of sidestep that do it.
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Test } from 'tap'
import { pathOf } from '../../../src/reconciler/paths.ts'
import { contentOf } from '../../../src/reconciler/plan.ts'
import { watchMilliseconds } from '../../../src/reconciler/reconciler.ts'
import { isCompanion } from '../../../src/translate/companion.ts'
import { modeLabel } from '../../../src/translate/mode.ts'
import { localCertificate } from '../../control-plane/certificate.ts'
import type { ControlPlane } from '../../control-plane/index.ts'
import { until } from '../../control-plane/until.ts'
import { reconcileCapture } from '../controllers/istio-cni.ts'
import { reconcileIstiod } from '../controllers/istiod.ts'
import { addContributor } from '../controllers/kfam.ts'
import { reconcileNotebook } from '../controllers/notebook-controller.ts'
import { standIn } from '../controllers/owner.ts'
import { reconcileProfile } from '../controllers/profile-controller.ts'
import { type Running, runControllers } from '../controllers/run.ts'
import { Refused, type Send, sendAs } from '../controllers/send.ts'
import { reconcileWorkloads } from '../controllers/workloads.ts'
import { ingress, istioGateway, namespacesOf } from '../kubeflow.ts'
import { isLease, isWork, type Write } from './api-proxy.ts'
import { contentOfTeam, unfinished } from './end-state.ts'
import { Front } from './front.ts'
import { Replica, type StartOptions } from './replica.ts'

export class World {
  readonly controlPlane: ControlPlane
  readonly front = new Front()
  /** What all replicas have written. */
  readonly journal: Write[] = []
  readonly certificate: { certFile: string; keyFile: string }
  readonly #replicas: Replica[] = []
  #istio: Running | undefined
  /** What a team comes to when nothing disturbs it: the first that was migrated. */
  #undisturbed: unknown

  /** Rights as deployed, webhooks registered though nobody answers them yet, and Istio's controllers at work. */
  static async begin(t: Test, controlPlane: ControlPlane): Promise<World> {
    const directory = t.testdir()
    const certificate = { certFile: join(directory, 'tls.crt'), keyFile: join(directory, 'tls.key') }
    const { cert, key } = await localCertificate()
    await writeFile(certificate.certFile, cert)
    await writeFile(certificate.keyFile, key)
    const world = new World(controlPlane, certificate)
    await world.front.open()
    t.teardown(() => world.#end())
    await controlPlane.grant('controller', 'cluster-admin')
    await controlPlane.apply(surroundings)
    await controlPlane.apply(await deployedRights())
    await controlPlane.registerWebhooks({ url: world.front.url, caBundle: cert })
    return world
  }

  private constructor(controlPlane: ControlPlane, certificate: World['certificate']) {
    this.controlPlane = controlPlane
    this.certificate = certificate
  }

  /** Starts a replica, and returns when it is ready and the webhook's calls reach it. */
  async replica(name: string, options?: StartOptions): Promise<Replica> {
    const replica = await Replica.start(this, name, options)
    this.#replicas.push(replica)
    await replica.ready()
    return replica
  }

  /** Istio, and what makes pods, until the test is over. */
  runIstio(t: Test): void {
    const as = (name: string) => patient(sendAs(this.controlPlane, name))
    const stopping = new AbortController()
    this.#istio = runControllers(
      {
        istiod: { send: as('istiod'), reconcile: reconcileIstiod },
        'istio-cni': { send: as('istio-cni'), reconcile: reconcileCapture },
        'statefulset-controller': { send: as('statefulset-controller'), reconcile: reconcileWorkloads },
      },
      { everyMilliseconds: 100 },
      stopping.signal,
    )
    t.teardown(async () => {
      stopping.abort()
      await this.#istio?.stopped
    })
  }

  /** A profile with two notebooks and a contributor, which sidestep leaves alone until it is told otherwise. */
  async addTeam(name: string, { isOff = true } = {}): Promise<void> {
    const send = sendAs(this.controlPlane, 'kubeflow')
    const owner = 'alice@example.com'
    const moreLabels = isOff ? { [modeLabel]: 'off' } : {}
    const profile = { name, owner, standIn: await standIn(send, { kind: 'Profile', name }) }
    const controller = { send, policyFields: 'before targetRefs', meshLabels: 'at creation', moreLabels } as const
    await reconcileProfile(controller, profile)
    for (const notebook of ['jupyter', 'rstudio']) {
      const owner = await standIn(send, { kind: 'Notebook', namespace: name, name: notebook })
      await reconcileNotebook(send, { namespace: name, name: notebook, owner })
    }
    await addContributor(send, { namespace: name, user: 'bob@example.com' })
  }

  /** From now on it is migrated. */
  async migrate(name: string): Promise<void> {
    const path = pathOf({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
    const body = { metadata: { labels: { [modeLabel]: null } } }
    await this.controlPlane.demand('PATCH', path, { body, contentType: 'application/merge-patch+json' })
  }

  workOf(name: string): Write[] {
    return this.journal.filter(write => write.by === name && isWork(write))
  }

  get work(): Write[] {
    return this.journal.filter(isWork)
  }

  /**
   * The end state of teams: nothing is lost and nothing is doubled, and nothing is written any more.
   * @param options.since when the webhook was back, without which re-admissions change nothing
   * @param options.areBehind whether replicas came to hear of things one after the other, so that a source may have been
   *   offered to one that did not know yet why
   */
  async settled(t: Test, teams: string[], { since = 0, areBehind = false } = {}): Promise<void> {
    let left: string[] = []
    const isFinished = async () => {
      const before = this.work.length
      // What Istio has to say of it may change what there is to do.
      await this.#istio?.rounds(3)
      left = await unfinished(this.controlPlane)
      return left.length === 0 && this.work.length === before
    }
    await until('nothing to be left to do', isFinished).catch(() => {})
    t.strictSame(left, [], 'every source is its own translation, and has just its companions beside it')
    if (!this.#undisturbed) this.#undisturbed = await contentOfTeam(this.controlPlane, teams[0] ?? '')
    for (const team of teams)
      t.strictSame(await contentOfTeam(this.controlPlane, team), this.#undisturbed, `${team} is as if nothing had been`)
    const before = this.work.length
    await sleep(1000)
    t.strictSame(this.work.slice(before).map(lineOf), [], 'and nobody writes any more')
    const alive = this.#replicas.filter(({ isRunning }) => isRunning).map(({ name }) => name)
    const last = new Map(this.work.map(write => [write.path, write]))
    const failed = [...last.values()].filter(({ by, status = 0 }) => alive.includes(by) && !isSuccess(status))
    t.strictSame(failed.map(lineOf), [], 'no call is left that has failed')
    t.strictSame(strayWrites(this.journal), [], 'whoever wrote held the Lease')
    const needless = needlessWrites(this.work.filter(({ came }) => came > since)).filter(
      ({ answer }) => !areBehind || isCompanion(answer),
    )
    t.strictSame(needless.map(lineOf), [], 'nothing was written twice')
  }

  async #end(): Promise<void> {
    for (const replica of this.#replicas) if (replica.isRunning) await replica.kill()
    await this.front.close()
  }
}

/**
 * Writes that came while the replica did not have the Lease: before it was answered that it had, or after another one was.
 * Of a Lease that was released, what was on its way may still come; of one that was stolen, nobody hears at once.
 */
export function strayWrites(journal: readonly Write[]): string[] {
  const leases = journal.filter(({ path, status = 0 }) => isLease(path) && isSuccess(status))
  const events = [
    ...journal.filter(isWork).map(write => ({ at: write.came, write, holder: undefined })),
    ...leases.map(write => ({ at: write.answered ?? 0, write, holder: write.answer.spec.holderIdentity && write.by })),
  ]
  let current = ''
  const strays: string[] = []
  for (const { write, holder } of events.sort((one, other) => one.at - other.at)) {
    if (holder !== undefined) current = holder
    else if (write.by !== current) strays.push(`${lineOf(write)} while ${current || 'nobody'} has the Lease`)
  }
  return strays
}

/**
 * Writes after which an object was what it had been after the one before, unless the watch has not brought that for so long
 * that sidestep looks at the source anyhow, as after a restart of the API server on a busy machine.
 */
export function needlessWrites(work: readonly Write[]): Write[] {
  const last = new Map<string, { content: object; answered: number }>()
  return work
    .filter(({ status = 0 }) => isSuccess(status))
    .filter(({ path, method, answer, came, answered = came }) => {
      const content = { uid: answer.metadata.uid, ...contentOf(answer) }
      const before = last.get(path)
      last.set(path, { content, answered })
      const isLate = before !== undefined && came - before.answered >= watchMilliseconds
      return method !== 'DELETE' && !isLate && isDeepStrictEqual(before?.content, content)
    })
}

function lineOf({ by, method, path, status = 0 }: Write): string {
  return `${by}: ${method} ${path} ${status}`
}

function isSuccess(status: number): boolean {
  return status >= 200 && status < 300
}

/** An API server that is away is one that refuses. */
function patient(send: Send): Send {
  return (...call) =>
    send(...call).catch(error => {
      throw new Refused(0, error.message)
    })
}

export function deployedRights(): Promise<string> {
  return readFile(join(import.meta.dirname, '../../../deploy/kustomize/base/rbac.yaml'), 'utf8')
}

const surroundings = [...namespacesOf('sidestep-system', 'istio-system', 'kubeflow'), istioGateway, ingress]
