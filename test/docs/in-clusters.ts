// The commands for a cluster of some pages, as a test.
import { setTimeout as pause } from 'node:timers/promises'
import type { Test } from 'tap'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { surround } from './cluster.ts'
import type { Page } from './pages.ts'
import { prepareTools, runPage } from './sandbox.ts'

/** What pages speak of as if it were there: a profile with sidecars, and the ingress that it has today. */
const surroundings = [
  namespace('istio-system'),
  namespace('kubeflow', { 'istio-injection': 'enabled' }),
  namespace('team-a', { 'istio-injection': 'enabled', 'app.kubernetes.io/part-of': 'kubeflow-profile' }),
  workload('Deployment', 'istio-system', 'istio-ingressgateway', {
    app: 'istio-ingressgateway',
    istio: 'ingressgateway',
  }),
  workload('Deployment', 'team-a', 'api', { app: 'api' }),
  workload('StatefulSet', 'team-a', 'lab', { statefulset: 'lab' }),
  // No pod of it is made, since there are no nodes.
  workload('DaemonSet', 'team-a', 'agent', { app: 'agent' }),
]

function namespace(name: string, labels: Record<string, string> = {}) {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } }
}

function workload(kind: string, namespace: string, name: string, labels: Record<string, string>) {
  const spec = { containers: [{ name: 'main', image: 'main' }] }
  const template = { metadata: { labels }, spec }
  return {
    apiVersion: 'apps/v1',
    kind,
    metadata: { name, namespace },
    spec: { selector: { matchLabels: labels }, template },
  }
}

export function needsCluster({ blocks }: Page): boolean {
  return blocks.some(({ test, language }) => test.cluster && language === 'sh')
}

/** Runs the pages of each group on one new API server. */
export async function runInClusters(t: Test, groups: readonly Page[][]): Promise<void> {
  const tools = await prepareTools()
  t.teardown(tools.remove)
  for (const group of groups.filter(({ length }) => length > 0)) {
    await t.test(group.map(({ path }) => path).join(', '), async t => {
      const controlPlane = await controlPlaneOrSkip(t, { controllers: true })
      if (!controlPlane) return
      const cluster = await surround(controlPlane)
      try {
        await controlPlane.apply(surroundings)
        for (const page of group) {
          // `kubectl rollout restart` writes the time in seconds, and fails the second time in the same one.
          await pause(1000 - (Date.now() % 1000))
          const { ran, skipped, problems } = await runPage(page, tools, cluster.kubeconfig)
          t.strictSame(problems, [], page.path)
          for (const { where, reason } of skipped) t.comment(`${where} is skipped: ${reason}`)
          t.comment(`${page.path}: ${ran} blocks of commands have run, ${skipped.length} are skipped`)
        }
      } finally {
        await cluster.stop()
      }
    })
  }
}
