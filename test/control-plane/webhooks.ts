import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { Client } from './client.ts'
import { until } from './until.ts'

export interface Webhooks {
  /** Where the webhook listens, without a path: `https://127.0.0.1:<port>`. */
  url: string
  /** What signs its certificate, in PEM; without it, whoever runs the webhook has to write it. */
  caBundle?: string
  /** What becomes of an admission that the webhook does not answer: by default what the deployment says. */
  failurePolicy?: 'Ignore' | 'Fail'
}

type Kind = 'mutate' | 'validate'

/** As deployed, which is what the tests are to show; in base/ all values have their defaults. */
const deployed = join(import.meta.dirname, '../../deploy/kustomize/base/webhooks.yaml')

/** The two webhook configurations, by URL, since there is no Service network here. */
export function webhookConfigurations({ url, caBundle, failurePolicy }: Webhooks, probe: string): object[] {
  return parseAllDocuments(readFileSync(deployed, 'utf8')).map(document => {
    const configuration = document.toJS()
    const kind = configuration.kind === 'MutatingWebhookConfiguration' ? 'mutate' : 'validate'
    const [deployedWebhook] = configuration.webhooks
    const webhook = {
      ...deployedWebhook,
      clientConfig: {
        url: new URL(deployedWebhook.clientConfig.service.path, url).href,
        ...(caBundle !== undefined && { caBundle: Buffer.from(caBundle).toString('base64') }),
      },
      ...(failurePolicy && { failurePolicy }),
      // A machine that runs several control planes at once may be slow.
      timeoutSeconds: 10,
    }
    return { ...configuration, webhooks: [webhook, probeWebhook(kind, probe)] }
  })
}

/** What this registration's probes are recognised by; another one for each, so that a changed URL is noticed as well. */
export function newProbe(): string {
  return randomBytes(8).toString('hex')
}

/**
 * Waits until the API server uses the two configurations, which is some time after it has stored them. Each has a second
 * webhook, which nobody answers, for ConfigMaps with one label value: once creating such a ConfigMap (a dry run) fails
 * because of it, its configuration is in effect. The webhooks under test are not called, and need not listen yet.
 */
export async function webhooksInEffect(client: Client, probe: string, signal: AbortSignal): Promise<void> {
  for (const kind of ['mutate', 'validate'] as const) {
    await until(
      `webhook ${kind} to be in effect`,
      async () => {
        const { status, body } = await client.request('POST', '/api/v1/namespaces/default/configmaps?dryRun=All', {
          body: { metadata: { generateName: 'probe-', labels: { [probeLabel(kind)]: probe } } },
        })
        return status === 500 && String(body.message).includes(probeName(kind))
      },
      { signal },
    )
  }
}

function probeWebhook(kind: Kind, probe: string) {
  return {
    name: probeName(kind),
    rules: [rule('', 'v1', ['configmaps'], 'Namespaced')],
    objectSelector: { matchLabels: { [probeLabel(kind)]: probe } },
    clientConfig: { url: 'https://127.0.0.1:1/' },
    failurePolicy: 'Fail',
    sideEffects: 'None',
    timeoutSeconds: 1,
    admissionReviewVersions: ['v1'],
  }
}

function probeName(kind: Kind): string {
  return `probe-${kind}.sidestep.dev`
}

/** One label for each configuration: with a common one, the mutating probe would hide the validating one. */
function probeLabel(kind: Kind): string {
  return `sidestep.dev/probe-${kind}`
}

function rule(group: string, version: string, resources: string[], scope: 'Namespaced' | 'Cluster') {
  return { apiGroups: [group], apiVersions: [version], resources, scope, operations: ['CREATE', 'UPDATE'] }
}
