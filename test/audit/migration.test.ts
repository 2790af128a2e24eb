// How far a namespace is, and what a person should know before it goes.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { migrationOf } from '../../src/audit/migration.ts'
import { profiles } from '../../src/translate/profiles.ts'
import type { Settings } from '../../src/translate/settings.ts'
import { entry, istioGateway, namespace, pod, policy, service, virtualService } from './world.ts'

const crd = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'httproutes.gateway.networking.k8s.io' },
  spec: { versions: [{ name: 'v1', served: true, schema: {} }] },
}
const of = (objects: object[], settings: Settings = profiles.kubeflow) =>
  migrationOf('team-a', [crd, ...objects] as KubernetesObject[], settings)
const team = [namespace(), service(), policy(), istioGateway, virtualService('lab', [entry('/lab')])]

t.test('is judged as if the namespace were enforced already', async t => {
  const observed = of([...team, pod('a', 'sidecar')], { ...profiles.kubeflow, mode: 'observe' })
  const off = of([namespace({ 'istio-injection': 'enabled', 'sidestep.dev/mode': 'off' }), ...team.slice(1)])
  for (const { steps, writes } of [observed, off]) {
    t.notOk(steps.prepare.isDone || steps.capture.isDone || steps.enrol.isDone || steps.routes.isDone)
    t.ok(writes.length > 5)
  }
  t.strictSame(
    observed.restarts.map(({ kind, name }) => `${kind} ${name}`),
    ['Pod a'],
  )
  t.ok(off.steps.restart.isDone, 'no pod has a sidecar')
})

t.test('says what it waits for', async t => {
  const { pending } = of([...team, pod('a', 'sidecar')])
  t.match(
    pending().join('\n'),
    /NS-SIDECARS-RUNNING Namespace team-a: 1 pods still run sidecars.*sidestep.dev\/cut-over=true/,
  )
})

t.test('is blocked by what is refused in it, and by policies of the mesh', async t => {
  t.strictSame(of(team).denials, [])
  const faulty = virtualService('faulty', [entry('/faulty', { fault: { abort: { httpStatus: 500 } } })])
  t.match(of([...team, faulty]).denials, [/^VS-FAULT VirtualService team-a\/faulty/])
  const custom = policy('custom')
  const root = { ...custom, metadata: { name: 'mesh', namespace: 'istio-system' } }
  const when = [{ key: 'destination.ip', values: ['10.0.0.1'] }]
  const denied = { ...root, spec: { action: 'DENY', rules: [{ when }] } }
  t.match(of([...team, denied]).denials, [/^AP-WHEN-DESTINATION-IP AuthorizationPolicy istio-system\/mesh/])
})

t.test('warns of an old gateway that would stop to route', async t => {
  const old = {
    ...pod('old', 'plain'),
    metadata: {
      name: 'old',
      namespace: 'istio-system',
      labels: { app: 'istio-ingressgateway', istio: 'ingressgateway' },
    },
  }
  const warned = (objects: object[], settings?: Settings) =>
    of(objects, settings).warnings.filter(warning => warning.startsWith('the old gateway'))
  t.match(warned([...team, old]), [/stops routing to VirtualService lab/])
  t.strictSame(warned(team), [])
  t.strictSame(warned([...team, old], { ...profiles.kubeflow, virtualServices: 'keep' }), [])
})

t.test('is verified when istiod has said that Services are bound', async t => {
  const served = namespace({ 'istio.io/dataplane-mode': 'ambient', 'istio.io/use-waypoint': 'waypoint' })
  const bound = (status: string, reason: string) => ({
    ...service(),
    status: { conditions: [{ type: 'istio.io/WaypointBound', status, reason, message: '' }] },
  })
  t.match(of([served, service()]).steps.verify.left, [/has not said yet that Service lab is bound/])
  t.ok(of([served, bound('True', 'WaypointAccepted')]).steps.verify.isDone)
  t.match(of([served, bound('False', 'AttachmentDenied')]).steps.verify.left, [/^ST-WAYPOINT-UNBOUND/])
})
