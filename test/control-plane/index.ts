// A real control plane for end-to-end tests: etcd, kube-apiserver and, on demand, kube-controller-manager, all on
// 127.0.0.1 and in one temporary directory, with the CRDs of Istio and Gateway API. There are no nodes, so no pod ever
// runs. A test gets one by controlPlaneOrSkip (skip.ts).
import { mkdtemp, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Binaries, type Channel, crdFiles, findBinaries } from './binaries.ts'
import { localCertificate } from './certificate.ts'
import { type Answer, Client, type RequestOptions } from './client.ts'
import { installCrds } from './crds.ts'
import { apiServerFlags, controllerManagerFlags, etcdFlags, type Ports } from './flags.ts'
import { freePort } from './ports.ts'
import { Processes } from './processes.ts'
import { type Outcome, run } from './run.ts'
import { until } from './until.ts'
import { kubeconfig, newTokens, tokenFile, type User, userNames, users } from './users.ts'
import { newProbe, type Webhooks, webhookConfigurations, webhooksInEffect } from './webhooks.ts'

export interface ControlPlaneOptions {
  /** The channel of Gateway API whose CRDs are installed beside Istio's; `none` for no CRDs at all. */
  channel?: Channel | 'none'
  /**
   * Whether kube-controller-manager collects garbage, empties namespaces that go, and aggregates cluster roles; with
   * `workloads` it makes the pods of Deployments and StatefulSets too.
   */
  controllers?: boolean | 'workloads'
}

/** One object or several, as values or as YAML. */
export type Manifest = string | object | readonly object[]

export interface ApplyOptions {
  user?: User
  serverSide?: boolean
}

/** Why a control plane cannot be started here; undefined when it can. */
export async function unavailable(options: ControlPlaneOptions = {}): Promise<string | undefined> {
  const binaries = await findBinaries()
  if ('reason' in binaries) return binaries.reason
  if (options.controllers && !binaries.controllerManager) {
    return `there is no kube-controller-manager in ${binaries.directory}`
  }
  if (options.channel === 'none') return undefined
  const crds = await crdFiles()
  return 'reason' in crds ? crds.reason : undefined
}

/** Starts a control plane, and returns when it serves everything it was asked for. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const binaries = await findBinaries()
  if ('reason' in binaries) throw new Error(binaries.reason)
  const directory = await mkdtemp(join(tmpdir(), 'sidestep-control-plane-'))
  const processes = await Processes.in(directory)
  try {
    return await start(binaries, directory, processes, options)
  } catch (error) {
    const logs = await processes.logs()
    await processes.stop()
    throw new Error(`the control plane does not start: ${(error as Error).message}\n${logs}`, { cause: error })
  }
}

async function start(
  binaries: Binaries,
  directory: string,
  processes: Processes,
  { channel = 'standard', controllers = false }: ControlPlaneOptions,
): Promise<ControlPlane> {
  const signal = processes.failure
  const ports = { apiServer: await freePort(), etcd: await freePort(), etcdPeer: await freePort() }
  const tokens = newTokens()
  const { key, cert } = await localCertificate()
  const client = new Client(`https://127.0.0.1:${ports.apiServer}`, cert, tokens)
  const controlPlane = new ControlPlane(binaries, ports, directory, processes, client)
  await writeFile(join(directory, 'server.key'), key)
  await writeFile(join(directory, 'server.crt'), cert)
  await writeFile(join(directory, 'tokens.csv'), tokenFile(tokens))
  for (const user of userNames) {
    await writeFile(controlPlane.kubeconfig(user), kubeconfig(client.url, cert, user, tokens[user]))
  }

  await processes.start(binaries.etcd, etcdFlags(directory, ports))
  await controlPlane.startApiServer()

  if (channel !== 'none') {
    const crds = await crdFiles()
    if ('reason' in crds) throw new Error(crds.reason)
    await installCrds(client, [...crds.istio, ...crds.gatewayApi[channel]], signal)
  }
  // After the CRDs, since the garbage collector looks for new kinds only every half minute.
  if (controllers) {
    if (!binaries.controllerManager) throw new Error(`there is no kube-controller-manager in ${binaries.directory}`)
    const port = await freePort()
    const hasWorkloads = controllers === 'workloads'
    const flags = controllerManagerFlags(directory, port, { kubeconfig: controlPlane.kubeconfig(), hasWorkloads })
    await processes.start(binaries.controllerManager, flags)
    const manager = new Client(`https://127.0.0.1:${port}`, cert, tokens)
    const isHealthy = async () => (await manager.request('GET', '/healthz')).status === 200
    await until('kube-controller-manager to be healthy', isHealthy, { signal })
    manager.close()
  }
  return controlPlane
}

/** A running control plane. It ends with stop(), or with this process, whatever ends that. */
export class ControlPlane {
  /** Where everything of it is; gone after stop(). */
  readonly directory: string
  readonly #binaries: Binaries
  readonly #ports: Ports
  readonly #processes: Processes
  readonly #client: Client

  /** @internal Use startControlPlane. */
  constructor(binaries: Binaries, ports: Ports, directory: string, processes: Processes, client: Client) {
    this.#binaries = binaries
    this.#ports = ports
    this.directory = directory
    this.#processes = processes
    this.#client = client
  }

  /** Where the API server listens. */
  get url(): string {
    return this.#client.url
  }

  /** The pids of its processes. */
  get pids(): number[] {
    return this.#processes.pids
  }

  /** The path of a user's kubeconfig. */
  kubeconfig(user: User = 'admin'): string {
    return join(this.directory, `${user}.kubeconfig`)
  }

  /** Runs kubectl. An exit code other than 0 is an outcome like any other: `kubectl diff` has 1 for a difference. */
  kubectl(args: readonly string[], { user = 'admin', stdin }: { user?: User; stdin?: string } = {}): Promise<Outcome> {
    // Its caches and settings are below HOME, and the developer's own have no business here.
    const { directory } = this
    const env = { PATH: process.env.PATH, HOME: directory, TMPDIR: directory, KUBECONFIG: this.kubeconfig(user) }
    return run(this.#binaries.kubectl, args, { env, cwd: directory, ...(stdin !== undefined && { stdin }) })
  }

  /** `kubectl apply`, which has to succeed. */
  async apply(manifest: Manifest, { user = 'admin', serverSide = false }: ApplyOptions = {}): Promise<Outcome> {
    const flags = serverSide ? ['--server-side'] : []
    return succeed(await this.kubectl(['apply', ...flags, '--filename=-'], { user, stdin: toYaml(manifest) }))
  }

  /** `kubectl get` of one object with everything in it, which has to exist. */
  // biome-ignore lint/suspicious/noExplicitAny: tests read fields of many kinds, and a wrong one shows at once.
  async get<K = any>(resource: string, name: string, namespace = 'default'): Promise<K> {
    const flags = [`--namespace=${namespace}`, '--output=json', '--show-managed-fields']
    const { stdout } = succeed(await this.kubectl(['get', resource, name, ...flags]))
    return JSON.parse(stdout)
  }

  /** A request to the API server, for what kubectl does not do: a bare PUT, a user agent of one's own. */
  request(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    return this.#client.request(method, path, options)
  }

  /** The same, which has to succeed. */
  demand(method: string, path: string, options: RequestOptions = {}): Promise<Answer> {
    return this.#client.demand(method, path, options)
  }

  /** Gives a user a cluster role everywhere. */
  async grant(user: User, clusterRole: string): Promise<void> {
    await this.apply({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: `test:${user}:${clusterRole}` },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: clusterRole },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: users[user].username }],
    })
  }

  /** Registers the webhooks of sidestep at a URL, in place of any before, and returns when they are in effect. */
  async registerWebhooks(webhooks: Webhooks): Promise<void> {
    const probe = newProbe()
    await this.apply(webhookConfigurations(webhooks, probe))
    await webhooksInEffect(this.#client, probe, this.#processes.failure)
  }

  /** Starts the API server, and returns when it is ready. */
  async startApiServer(): Promise<void> {
    const { failure: signal } = this.#processes
    await this.#processes.start(this.#binaries.apiServer, apiServerFlags(this.directory, this.#ports))
    const answers = async (path: string) => (await this.request('GET', path)).status === 200
    await until('kube-apiserver to be ready', () => answers('/readyz'), { signal })
    // The API server makes it only after it has reported that it is ready.
    await until('namespace default', () => answers('/api/v1/namespaces/default'), { signal })
  }

  /** Ends the API server and starts it again, as an upgrade does. */
  async restartApiServer(): Promise<void> {
    await this.#processes.end(this.#binaries.apiServer)
    await this.startApiServer()
  }

  /** Makes etcd forget all that is not stored any more, as the API server has it do every five minutes. */
  async compact(): Promise<void> {
    const { revision } = (await this.#etcd('range', { key: btoa('x') })).header
    await this.#etcd('compaction', { revision, physical: true })
  }

  /** https://etcd.io/docs/v3.6/dev-guide/api_grpc_gateway */
  async #etcd(call: string, body: object): Promise<{ header: { revision: string } }> {
    const url = `http://127.0.0.1:${this.#ports.etcd}/v3/kv/${call}`
    const response = await fetch(url, { method: 'POST', body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`etcd: ${call}: ${await response.text()}`)
    return response.json() as Promise<{ header: { revision: string } }>
  }

  /** The end of every process's log. */
  logs(): Promise<string> {
    return this.#processes.logs()
  }

  async stop(): Promise<void> {
    this.#client.close()
    await this.#processes.stop()
  }
}

function toYaml(manifest: Manifest): string {
  if (typeof manifest === 'string') return manifest
  return JSON.stringify(Array.isArray(manifest) ? { apiVersion: 'v1', kind: 'List', items: manifest } : manifest)
}

function succeed(outcome: Outcome): Outcome {
  if (outcome.code !== 0) throw new Error(`kubectl failed: ${outcome.stderr.trim()}`)
  return outcome
}
