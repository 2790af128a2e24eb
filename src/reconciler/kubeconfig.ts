// Where the API server is, and as whom it is called. A kubeconfig that names no more than files, and the service account of a
// Pod, are read here. Exec plugins, identity providers, proxies and all else are left to @kubernetes/client-node, which is
// loaded only then: it takes 60 MiB, and longer than all the rest of the start. This is the only file that knows it.
import { existsSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { OutgoingHttpHeaders } from 'node:http'
import type https from 'node:https'
import { createRequire } from 'node:module'
import { isIPv6 } from 'node:net'
import { delimiter, dirname, join, resolve } from 'node:path'
import type { KubeConfig } from '@kubernetes/client-node'
import { parse } from 'yaml'
import { isRecord } from '../translate/fate.ts'

/** A kubeconfig that names no API server; `message` says why. */
export class KubeconfigError extends Error {
  readonly code = 'KUBECONFIG_INVALID'
}

/** With the certificates and the agent of the connection. */
export type Credentials = https.RequestOptions & { headers: OutgoingHttpHeaders }

export interface Access {
  /** Its URL. */
  server: string
  /** What a call is to carry. */
  credentials(): Promise<Credentials>
}

/**
 * The access that a kubeconfig file gives, or else the one that kubectl would use here, or the cluster that this Pod is in.
 * @param context the context to use in place of the current one
 * @throws KubeconfigError
 */
export function readAccess(kubeconfig?: string, context?: string): Access {
  const plain = kubeconfig ? plainIn(kubeconfig, context) : context === undefined ? ownPod(process.env) : undefined
  return (plain && plainAccess(plain)) ?? accessOfClient(kubeconfig, context)
}

// Files only -------------------------------------------------------------------------------------------------------

interface Plain {
  cluster: Record<string, unknown>
  user: Record<string, unknown>
  /** Where relative paths begin. */
  directory: string
}

/** All that is understood here: a kubeconfig with anything else is not read by halves. */
const clusterFields = [
  'server',
  'certificate-authority',
  'certificate-authority-data',
  'insecure-skip-tls-verify',
  'tls-server-name',
]
const userFields = [
  'token',
  'tokenFile',
  'client-certificate',
  'client-certificate-data',
  'client-key',
  'client-key-data',
]

/** Undefined where it names more than files. */
export function plainAccess({ cluster, user, directory }: Plain): Access | undefined {
  const server = textOf(cluster.server)
  const isKnown = (fields: object, names: string[]) => Object.keys(fields).every(name => names.includes(name))
  if (!server?.startsWith('https://') || !isKnown(cluster, clusterFields) || !isKnown(user, userFields))
    return undefined
  const content = (fields: Record<string, unknown>, name: string) => {
    const [file, data] = [textOf(fields[name]), textOf(fields[`${name}-data`])]
    if (file) return readFileSync(resolve(directory, file))
    return data ? Buffer.from(data, 'base64') : undefined
  }
  const tokenFile = textOf(user.tokenFile)
  const defined = (options: object) => Object.fromEntries(Object.entries(options).filter(([, value]) => value))
  return {
    server,
    async credentials() {
      // The file is small, and the kubelet renews it.
      const token = tokenFile ? (await readFile(resolve(directory, tokenFile), 'utf8')).trim() : textOf(user.token)
      return {
        headers: token ? { Authorization: `Bearer ${token}` } : {},
        ...defined({
          ca: content(cluster, 'certificate-authority'),
          cert: content(user, 'client-certificate'),
          key: content(user, 'client-key'),
          servername: textOf(cluster['tls-server-name']),
        }),
        ...(cluster['insecure-skip-tls-verify'] === true && { rejectUnauthorized: false }),
        // A connection for each call.
        agent: false,
      }
    },
  }
}

/** What a context of a file names; undefined where anything is amiss, which the client puts into words. */
function plainIn(file: string, context: string | undefined): Plain | undefined {
  let config: unknown
  try {
    config = parse(readFileSync(file, 'utf8'))
  } catch {
    return undefined
  }
  if (!isRecord(config)) return undefined
  const named = (list: string, kind: string, name: unknown) => {
    const entries: unknown = config[list]
    const found: unknown = Array.isArray(entries) && entries.find(entry => isRecord(entry) && entry.name === name)
    return isRecord(found) && isRecord(found[kind]) ? found[kind] : undefined
  }
  const used = named('contexts', 'context', context ?? config['current-context'])
  const cluster = named('clusters', 'cluster', used?.cluster)
  const user = named('users', 'user', used?.user)
  return cluster && user && { cluster, user, directory: dirname(file) }
}

const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount'

/** Where kubectl would find no kubeconfig. */
export function ownPod(environment: NodeJS.ProcessEnv, directory = serviceAccount): Plain | undefined {
  const { KUBECONFIG, HOME, KUBERNETES_SERVICE_HOST: host = '', KUBERNETES_SERVICE_PORT: port } = environment
  if (KUBECONFIG || !host || !existsSync(join(directory, 'token'))) return undefined
  if (HOME && existsSync(join(HOME, '.kube/config'))) return undefined
  const server = `https://${isIPv6(host) ? `[${host}]` : host}:${port}`
  return { cluster: { server, 'certificate-authority': 'ca.crt' }, user: { tokenFile: 'token' }, directory }
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

// Everything else --------------------------------------------------------------------------------------------------

/** The name of the context that is used; in a Pod, what the client calls it. */
export function contextOf(kubeconfig?: string, context?: string): string {
  return configOfClient(kubeconfig, context).getCurrentContext()
}

function configOfClient(kubeconfig: string | undefined, context: string | undefined): KubeConfig {
  // Not by import(), since who asks for a connection is to hear at once what is wrong with the kubeconfig.
  const client = createRequire(import.meta.url)('@kubernetes/client-node') as typeof import('@kubernetes/client-node')
  const config = new client.KubeConfig()
  const name = kubeconfig ?? 'kubeconfig'
  try {
    if (kubeconfig) config.loadFromFile(kubeconfig)
    else loadDefault(config, process.env.KUBECONFIG?.split(delimiter).filter(file => existsSync(file)) ?? [])
    if (kubeconfig) addTokenFiles(config, kubeconfig)
  } catch (cause) {
    throw new KubeconfigError(`${name} cannot be read: ${(cause as Error).message}`, { cause })
  }
  // What the client makes up where it finds nothing.
  if (!kubeconfig && config.getCurrentContext() === 'loaded-context' && config.contexts.length === 1)
    throw new KubeconfigError(
      'there is no kubeconfig: KUBECONFIG names no file that is there, nor is there ~/.kube/config; give one with --kubeconfig',
    )
  if (context !== undefined) {
    const names = config.getContexts().map(({ name }) => name)
    if (!names.includes(context))
      throw new KubeconfigError(`${name} has no context ${context}; its contexts are ${names.join(', ')}`)
    config.setCurrentContext(context)
  }
  if (!config.getCurrentCluster())
    throw new KubeconfigError(`${name} has no current context; set one with kubectl config use-context`)
  return config
}

/**
 * Of several files in KUBECONFIG the first that says something holds, as for kubectl: https://kubernetes.io/docs/concepts/
 * configuration/organize-cluster-access-kubeconfig/#merging-kubeconfig-files. The client would take the last one's context,
 * which may be another cluster, and fail where two have a name in common or one is not there.
 */
function loadDefault(config: KubeConfig, files: string[]): void {
  if (files.length === 0) {
    config.loadFromDefault()
    return
  }
  const all = files.map(file => {
    const each = new (config.constructor as new () => KubeConfig)()
    each.loadFromFile(file)
    return each
  })
  config.clusters = firsts(all.flatMap(({ clusters }) => clusters))
  config.users = firsts(all.flatMap(({ users }) => users))
  config.contexts = firsts(all.flatMap(({ contexts }) => contexts))
  config.setCurrentContext(all.find(({ currentContext }) => currentContext)?.currentContext ?? '')
}

/** Of each name. */
function firsts<T extends { name: string }>(entries: T[]): T[] {
  return entries.filter(({ name }, i) => entries.findIndex(each => each.name === name) === i)
}

function accessOfClient(kubeconfig: string | undefined, context: string | undefined): Access {
  const config = configOfClient(kubeconfig, context)
  return {
    server: config.getCurrentCluster()?.server ?? '',
    async credentials() {
      const credentials: Credentials = { headers: {} }
      await config.applyToHTTPSOptions(credentials)
      // The client reads this file once a minute, and with its newline.
      const tokenFile: unknown = config.getCurrentUser()?.authProvider?.config?.tokenFile
      if (typeof tokenFile === 'string')
        credentials.headers.Authorization = `Bearer ${(await readFile(tokenFile, 'utf8')).trim()}`
      return credentials
    },
  }
}

/** The client does not know `tokenFile` of a user, only the file that it finds in a Pod. */
function addTokenFiles(config: KubeConfig, file: string): void {
  const { users } = parse(readFileSync(file, 'utf8')) as { users?: { name?: string; user?: { tokenFile?: string } }[] }
  const fileOf = new Map(users?.map(({ name, user }) => [name, user?.tokenFile]))
  config.users = config.users.map(user => {
    const tokenFile = fileOf.get(user.name)
    if (!tokenFile) return user
    return { ...user, authProvider: { name: 'tokenFile', config: { tokenFile: resolve(dirname(file), tokenFile) } } }
  })
}
