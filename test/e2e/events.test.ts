// Events on a real API server: that it takes them, and where people see them.
import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import t from 'tap'
import { connect } from '../../src/reconciler/api-server.ts'
import { recorder } from '../../src/reconciler/events.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { until } from '../control-plane/until.ts'

/** What it needs to be allowed, and no more. */
const role = {
  apiVersion: 'rbac.authorization.k8s.io/v1',
  kind: 'ClusterRole',
  metadata: { name: 'sidestep-events' },
  rules: [{ apiGroups: [''], resources: ['events'], verbs: ['create', 'patch'] }],
}

t.test('Events', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'team-a' } }
  const route = {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    metadata: { namespace: 'team-a', name: 'jupyter' },
    spec: { hosts: ['*'], http: [{ route: [{ destination: { host: 'jupyter' } }] }] },
  }
  await controlPlane.apply([namespace, role])
  await controlPlane.apply(route)
  await controlPlane.grant('sidestep', role.metadata.name)
  await until('its rights', async () => {
    const options = { user: 'sidestep', body: {} } as const
    return (await controlPlane.request('POST', '/api/v1/namespaces/team-a/events', options)).status !== 403
  })
  const log: string[] = []
  const logger = pino({ level: 'warn' }, { write: line => log.push(line) })
  const allowance = { burst: 100, refillMilliseconds: 1 }
  const events = recorder({
    api: connect(controlPlane.kubeconfig('sidestep')),
    logger,
    reportingInstance: 'sidestep-0',
    limits: { windowMilliseconds: 60_000, patchMilliseconds: 5, perObject: allowance, overall: allowance },
  })
  const stored = [
    await controlPlane.get('virtualservice', 'jupyter', 'team-a'),
    await controlPlane.get('namespace', 'team-a'),
  ]
  for (let i = 0; i < 3; i++) {
    for (const object of stored) events.tell(object, { type: 'Warning', reason: 'Tested', note: 'this is a test' })
    await sleep(20)
  }
  await events.flush()
  t.strictSame(log, [], 'the API server takes them')

  const { stdout: describe } = await controlPlane.kubectl(['describe', 'virtualservice', 'jupyter', '-n', 'team-a'])
  t.match(describe, /Warning +Tested +.*x3 over.* +sidestep +this is a test/, 'kubectl describe shows it, counted')
  const { stdout: list } = await controlPlane.kubectl(['get', 'events', '-n', 'team-a'])
  t.match(list, /Warning +Tested +virtualservice\/jupyter +this is a test/)
  t.match(list, /Warning +Tested +namespace\/team-a +this is a test/, 'that of the namespace is in it')
  const { stdout: forIt } = await controlPlane.kubectl(['events', '--for=namespace/team-a', '-n', 'team-a'])
  t.match(forIt, /Tested/)
  const { stdout: whole } = await controlPlane.kubectl(['describe', 'namespace', 'team-a'])
  t.notMatch(whole, /Event/, 'kubectl describe shows the Events of no Namespace, so they may as well be where it is')
})
