// A cluster for the commands of a page: a real API server, and round it what a real cluster has, as far as pages look at it:
// istiod, workloads and their pods with or without sidecars, and sidestep for as long as its Deployment has replicas.
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Namespace, Pod } from '../../src/apis/core.ts'
import { pathOf } from '../../src/reconciler/paths.ts'
import { loadSettings } from '../../src/settings.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { reconcileCapture } from '../e2e/controllers/istio-cni.ts'
import { reconcileIstiod } from '../e2e/controllers/istiod.ts'
import { Refused, type Send, sendAs, succeeded } from '../e2e/controllers/send.ts'
import { reconcileWorkloads } from '../e2e/controllers/workloads.ts'
import { type Sidestep, startSidestep } from '../e2e/sidestep.ts'

export interface Cluster {
  kubeconfig: string
  /** Rejects when something of it has failed. */
  stop(): Promise<void>
}

export async function surround(controlPlane: ControlPlane): Promise<Cluster> {
  await controlPlane.grant('controller', 'cluster-admin')
  const kubeconfig = join(controlPlane.directory, 'docs.kubeconfig')
  // The name of the context in all pages is prod.
  const { stdout } = await controlPlane.kubectl(['config', 'view', '--raw', '-o', 'json'])
  const config = JSON.parse(stdout)
  config.contexts[0].name = 'prod'
  await writeFile(kubeconfig, JSON.stringify({ ...config, 'current-context': 'prod' }))

  const stopping = new AbortController()
  const deployed = new Deployed(controlPlane)
  const run = async (work: () => Promise<void>) => {
    while (!stopping.signal.aborted) {
      // A refusal is of one moment: the object has changed meanwhile, or its Namespace goes.
      await work().catch(error => {
        if (!(error instanceof Refused)) throw error
      })
      await pause(200, undefined, { signal: stopping.signal }).catch(() => {})
    }
  }
  const workloads = injecting(sendAs(controlPlane, 'kube-controller-manager'))
  const running = Promise.all([
    run(() => reconcileIstiod(sendAs(controlPlane, 'istiod'))),
    run(async () => {
      await restartPods(workloads)
      await reconcileWorkloads(workloads)
      await reconcileCapture(sendAs(controlPlane, 'istio-cni'))
    }),
    run(() => deployed.reconcile()),
  ])
  running.catch(() => stopping.abort())
  return {
    kubeconfig,
    async stop() {
      stopping.abort()
      await running.finally(() => deployed.end())
      await rm(kubeconfig)
    },
  }
}

/** Istio's injector: a new pod of a Namespace that asks for it gets a sidecar. */
function injecting(send: Send): Send {
  return async (method, path, body) => {
    const pod = body as Pod | undefined
    if (method !== 'POST' || pod?.kind !== 'Pod') return send(method, path, body)
    const { body: namespace } = await send('GET', `/api/v1/namespaces/${pod.metadata.namespace}`)
    if ((namespace as Namespace).metadata.labels?.['istio-injection'] !== 'enabled') return send(method, path, body)
    const annotations = { ...pod.metadata.annotations, 'sidecar.istio.io/status': '{"containers":["istio-proxy"]}' }
    return send(method, path, { ...pod, metadata: { ...pod.metadata, annotations } })
  }
}

const restartedAt = 'kubectl.kubernetes.io/restartedAt'

/** `kubectl rollout restart` writes an annotation into the template, and pods without it go. */
async function restartPods(send: Send): Promise<void> {
  const pods: Pod[] = succeeded(await send('GET', '/api/v1/pods')).body.items
  for (const pod of pods) {
    const [owner] = pod.metadata.ownerReferences ?? []
    if (owner?.apiVersion !== 'apps/v1') continue
    const { namespace = '' } = pod.metadata
    const found = await send('GET', pathOf({ ...owner, metadata: { namespace, name: owner.name } }))
    const wanted = found.status === 200 && found.body.spec.template.metadata.annotations?.[restartedAt]
    if (found.status === 200 && wanted === pod.metadata.annotations?.[restartedAt]) continue
    const path = pathOf({ apiVersion: 'v1', kind: 'Pod', metadata: pod.metadata })
    succeeded(await send('DELETE', path, { gracePeriodSeconds: 0 }))
  }
}

/** sidestep as its Deployment has it: while there are replicas, with the settings of the ConfigMap that it mounts. */
class Deployed {
  readonly #controlPlane: ControlPlane
  readonly #send: Send
  #running: { settings: string; sidestep: Sidestep } | undefined

  constructor(controlPlane: ControlPlane) {
    this.#controlPlane = controlPlane
    this.#send = sendAs(controlPlane, 'kubelet')
  }

  async reconcile(): Promise<void> {
    const path = '/apis/apps/v1/namespaces/sidestep-system/deployments/sidestep'
    const { status, body: deployment } = await this.#send('GET', path)
    // Webhooks by URL stand in the place of those by Service, which Helm would not find its way back from.
    if (deployment.metadata?.annotations?.['meta.helm.sh/release-name']) return
    const replicas = status === 200 ? deployment.spec.replicas : 0
    if (replicas === 0) await this.end()
    else {
      const name = deployment.spec.template.spec.volumes.find(({ configMap }: { configMap?: object }) => configMap)
        .configMap.name
      const { body } = succeeded(await this.#send('GET', `/api/v1/namespaces/sidestep-system/configmaps/${name}`))
      const settings: string = body.data['settings.yaml']
      if (this.#running?.settings !== settings || (await this.#isApplied())) {
        await this.end()
        const file = join(this.#controlPlane.directory, 'settings.yaml')
        await writeFile(file, settings)
        const sidestep = await startSidestep(this.#controlPlane, { settings: loadSettings({ file, env: {} }) })
        this.#running = { settings, sidestep }
      }
    }
    if (status !== 200) return
    // What the Deployment's controller would say, so that `kubectl rollout status` ends.
    const { generation } = deployment.metadata
    const counts = { replicas, updatedReplicas: replicas, readyReplicas: replicas, availableReplicas: replicas }
    const wanted = { observedGeneration: generation, ...(replicas > 0 && counts) }
    if (deployment.status?.observedGeneration === generation && deployment.status.replicas === replicas) return
    succeeded(await this.#send('PUT', `${path}/status`, { ...deployment, status: wanted }))
  }

  /** Whether somebody has applied the configurations of the manifests again, whose Service nobody serves here. */
  async #isApplied(): Promise<boolean> {
    const path = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/sidestep'
    const { status, body } = await this.#send('GET', path)
    return status === 200 && Boolean(body.webhooks[0].clientConfig.service)
  }

  async end(): Promise<void> {
    await this.#running?.sidestep.stop()
    this.#running = undefined
  }
}
