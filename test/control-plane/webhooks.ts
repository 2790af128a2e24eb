import { randomBytes } from 'node:crypto'
import type { Client } from './client.ts'
import { until } from './until.ts'

export interface Webhooks {
  /** Where the webhook listens, without a path: `https://127.0.0.1:<port>`. */
  url: string
  /** What signs its certificate, in PEM. */
  caBundle: string
}

type Kind = 'mutate' | 'validate'

const systemNamespaces = ['kube-system', 'kube-public', 'kube-node-lease']

/** What the two configurations have in common. Only v1 is listed: matchPolicy Equivalent converts the older versions. */
const admission = {
  rules: [
    rule('networking.istio.io', 'v1', ['virtualservices', 'gateways'], 'Namespaced'),
    rule(
      'security.istio.io',
      'v1',
      ['authorizationpolicies', 'requestauthentications', 'peerauthentications'],
      'Namespaced',
    ),
    rule('', 'v1', ['namespaces'], 'Cluster'),
  ],
  namespaceSelector: {
    matchExpressions: [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: systemNamespaces }],
  },
  matchPolicy: 'Equivalent',
  sideEffects: 'None',
  timeoutSeconds: 5,
  admissionReviewVersions: ['v1'],
}

/** The two webhook configurations, by URL, since there is no Service network here. */
export function webhookConfigurations({ url, caBundle }: Webhooks, probe: string): object[] {
  const clientConfig = (path: string) => ({
    url: new URL(path, url).href,
    caBundle: Buffer.from(caBundle).toString('base64'),
  })
  return [
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'MutatingWebhookConfiguration',
      metadata: { name: 'sidestep' },
      webhooks: [
        {
          ...admission,
          name: 'mutate.sidestep.dev',
          clientConfig: clientConfig('/mutate'),
          failurePolicy: 'Ignore',
          reinvocationPolicy: 'IfNeeded',
        },
        probeWebhook('mutate', probe),
      ],
    },
    {
      apiVersion: 'admissionregistration.k8s.io/v1',
      kind: 'ValidatingWebhookConfiguration',
      metadata: { name: 'sidestep' },
      webhooks: [
        {
          ...admission,
          name: 'validate.sidestep.dev',
          clientConfig: clientConfig('/validate'),
          failurePolicy: 'Ignore',
        },
        probeWebhook('validate', probe),
      ],
    },
  ]
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
