// What the API server knows about who set a field, once a webhook has removed it (selector) or added it (targetRefs).
// src/translate/original.ts rests on these facts (design.md section 2); they are Kubernetes' behaviour and not ours, so
// a webhook of a few lines stands in for sidestep. In one sentence: managedFields are computed from the request before
// admission runs and again only from the next request, so a removed field keeps its owner, an added field has none, and
// a manager that updates (unlike one that applies) cannot give up a field that is not there.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import type { Outcome } from '../control-plane/run.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { type PatchOperation, startWebhook, type TestWebhook } from '../control-plane/webhook.ts'

interface Policy extends KubernetesObject {
  spec: {
    selector?: { matchLabels: { app: string } }
    targetRefs?: { group: string; kind: string; name: string }[]
    rules?: object[]
  }
}

type Write = (controlPlane: ControlPlane, policy: Policy) => Promise<void>

interface Writer {
  name: string
  create: Write
  update: Write
  /** Who owns the selector after the first write, and after it is written again. */
  owners: [string, string]
  /** Who owns the selector after it was written without one. */
  ownersAfterDrop: string[]
  /** What is left of targetRefs after it was written without a selector: what replaces the spec takes them along. */
  targetsAfterDrop: string[] | undefined
}

const writers: Writer[] = [
  {
    name: 'kubectl apply',
    create: apply,
    update: apply,
    owners: ['kubectl-client-side-apply', 'kubectl-client-side-apply'],
    // Wrong from now on: only the last-applied annotation tells that the selector was dropped.
    ownersAfterDrop: ['kubectl-client-side-apply'],
    targetsAfterDrop: ['reviews'],
  },
  {
    name: 'kubectl apply --server-side',
    create: applyServerSide,
    update: applyServerSide,
    owners: ['kubectl', 'kubectl'],
    ownersAfterDrop: [],
    targetsAfterDrop: ['reviews'],
  },
  {
    name: 'kubectl create, then kubectl replace',
    create: kubectlWith('create'),
    update: kubectlWith('replace'),
    owners: ['kubectl-create', 'kubectl-replace'],
    ownersAfterDrop: ['kubectl-replace'],
    targetsAfterDrop: undefined,
  },
  {
    name: 'a controller, which sends its own spec and the metadata it has read',
    create: post,
    update: putSpec,
    owners: ['controller', 'controller'],
    ownersAfterDrop: ['controller'],
    targetsAfterDrop: undefined,
  },
]

const policiesPath = '/apis/security.istio.io/v1/namespaces/default/authorizationpolicies'

t.test('managedFields around a webhook that turns selector into targetRefs', async t => {
  const controlPlane = await controlPlaneOrSkip(t)
  if (!controlPlane) return
  for (const [index, { create }] of writers.entries()) await create(controlPlane, withSelector(`early-${index}`))
  const webhook = await startWebhook(selectorToTargetRefs)
  t.teardown(() => webhook.close())
  await controlPlane.registerWebhooks(webhook)

  for (const [index, writer] of writers.entries()) {
    t.test(writer.name, async t => {
      const name = `policy-${index}`
      await writer.create(controlPlane, withSelector(name))
      const created = await read(controlPlane, name)
      t.strictSame(targets(created), ['reviews'])
      t.strictSame(owners(created, 'selector'), [writer.owners[0]], 'a removed field keeps its owner')
      t.strictSame(owners(created, 'targetRefs'), [], 'an added field has none')

      await writer.update(controlPlane, withSelector(name))
      const updated = await read(controlPlane, name)
      t.strictSame(owners(updated, 'selector'), [writer.owners[1]])
      t.strictSame(owners(updated, 'targetRefs'), [])
      if (writer.owners[0] === writer.owners[1]) {
        t.equal(version(updated), version(created), 'the same object again is no write')
      }

      await writer.update(controlPlane, withSelector(name))
      await readmit(controlPlane, name)
      const readmitted = await read(controlPlane, name)
      t.equal(version(readmitted), version(updated), 'nor is it the next time, nor an empty patch')
      t.strictSame(owners(readmitted, 'selector'), [writer.owners[1]], 'an empty patch owns nothing')
      t.strictSame(owners(readmitted, 'targetRefs'), [])

      await writer.update(controlPlane, withoutSelector(name))
      const dropped = await read(controlPlane, name)
      t.strictSame(owners(dropped, 'selector'), writer.ownersAfterDrop)
      t.strictSame(owners(dropped, 'targetRefs'), [])
      t.strictSame(targets(dropped), writer.targetsAfterDrop)
      t.strictSame(owners(lastReviewed(webhook, name), 'selector'), writer.ownersAfterDrop, 'the webhook saw the same')

      await readmit(controlPlane, name)
      t.equal(version(await read(controlPlane, name)), version(dropped), 'an empty patch is no write here either')
    })

    t.test(`${writer.name}, before the webhook came`, async t => {
      const name = `early-${index}`
      t.strictSame(targets(await read(controlPlane, name)), undefined)
      await readmit(controlPlane, name)
      const rewritten = await read(controlPlane, name)
      t.strictSame(targets(rewritten), ['reviews'], 'an empty patch lets the webhook rewrite it')
      t.strictSame(owners(rewritten, 'selector'), [writer.owners[0]])
      t.strictSame(owners(rewritten, 'targetRefs'), [])
      await readmit(controlPlane, name)
      t.equal(version(await read(controlPlane, name)), version(rewritten))
    })
  }

  t.test('a partial apply over a created object leaves the selector to its creator', async t => {
    await kubectlWith('create')(controlPlane, withSelector('partial'))
    await apply(controlPlane, withoutSelector('partial'))
    const applied = await read(controlPlane, 'partial')
    t.notMatch(lastApplied(applied), 'selector', 'so that this annotation alone would say that it was dropped')
    t.strictSame(owners(applied, 'selector'), ['kubectl-create'])
    t.notOk(owns(applied, 'kubectl-create', lastAppliedField), 'an owner whose word is not the annotation')
    t.ok(owns(applied, 'kubectl-client-side-apply', lastAppliedField))
  })

  t.test('a user who takes over the targetRefs by apply owns nothing of them, only the annotation tells', async t => {
    await apply(controlPlane, withSelector('taken'))
    await apply(controlPlane, withTargetRefs('taken'))
    const taken = await read(controlPlane, 'taken')
    t.strictSame(owners(taken, 'targetRefs'), [], 'the value is the same, so nobody has changed it')
    t.match(lastApplied(taken), 'targetRefs')
  })

  t.test('a user who takes over the targetRefs by server-side apply owns them', async t => {
    await applyServerSide(controlPlane, withSelector('taken-server-side'))
    await applyServerSide(controlPlane, withTargetRefs('taken-server-side'))
    const taken = await read(controlPlane, 'taken-server-side')
    t.strictSame(owners(taken, 'targetRefs'), ['kubectl'])
    t.strictSame(owners(taken, 'selector'), [])
  })

  t.test('managedFields that somebody clears stay empty until the next server-side apply', async t => {
    await applyServerSide(controlPlane, withSelector('cleared'))
    await patch(controlPlane, 'cleared', { metadata: { managedFields: [{}] } })
    t.strictSame((await read(controlPlane, 'cleared')).metadata.managedFields, undefined)
    await readmit(controlPlane, 'cleared')
    t.strictSame((await read(controlPlane, 'cleared')).metadata.managedFields, undefined)
    await applyServerSide(controlPlane, withoutSelector('cleared'))
    const applied = await read(controlPlane, 'cleared')
    t.strictSame(owners(applied, 'selector'), [], 'the same as if the applier had dropped it')
    t.strictSame(owners(applied, 'targetRefs'), ['before-first-apply'], 'but for an owner of what was there')
  })

  t.test('a second applier of the same selector has to force, which without a webhook it has not', async t => {
    await apply(controlPlane, withSelector('shared'))
    const { code, stderr } = await kubectl(controlPlane, ['apply', '--server-side'], withSelector('shared'))
    t.equal(code, 1)
    t.match(stderr, 'conflicts with "kubectl-client-side-apply"')
    await kubectl(controlPlane, ['apply', '--server-side', '--force-conflicts'], withSelector('shared'))
    const shared = await read(controlPlane, 'shared')
    t.strictSame(owners(shared, 'selector'), ['kubectl'])
    t.strictSame(targets(shared), ['reviews'])
  })
})

const lastAppliedAnnotation = 'kubectl.kubernetes.io/last-applied-configuration'
const lastAppliedField = ['f:metadata', 'f:annotations', `f:${lastAppliedAnnotation}`]
const targetRefs = (name: string) => [{ group: '', kind: 'Service', name }]

/** The stand-in for sidestep. The label app is the Service's name. */
function selectorToTargetRefs(object: KubernetesObject): PatchOperation[] {
  const app = (object as Policy).spec?.selector?.matchLabels.app
  if (app === undefined) return []
  return [
    { op: 'remove', path: '/spec/selector' },
    { op: 'add', path: '/spec/targetRefs', value: targetRefs(app) },
  ]
}

function policy(name: string, attachment: Policy['spec']): Policy {
  return {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: 'default' },
    spec: { ...attachment, rules: [{ to: [{ operation: { methods: ['GET'] } }] }] },
  }
}

function withSelector(name: string): Policy {
  return policy(name, { selector: { matchLabels: { app: 'reviews' } } })
}

function withTargetRefs(name: string): Policy {
  return policy(name, { targetRefs: targetRefs('reviews') })
}

function withoutSelector(name: string): Policy {
  return policy(name, {})
}

async function apply(controlPlane: ControlPlane, policy: Policy): Promise<void> {
  await controlPlane.apply(policy)
}

async function applyServerSide(controlPlane: ControlPlane, policy: Policy): Promise<void> {
  await controlPlane.apply(policy, { serverSide: true })
}

function kubectl(controlPlane: ControlPlane, args: string[], policy: Policy): Promise<Outcome> {
  return controlPlane.kubectl([...args, '--filename=-'], { stdin: JSON.stringify(policy) })
}

function kubectlWith(verb: 'create' | 'replace'): Write {
  return async (controlPlane, policy) => {
    const { code, stderr } = await kubectl(controlPlane, [verb], policy)
    if (code !== 0) throw new Error(stderr)
  }
}

async function post(controlPlane: ControlPlane, body: Policy): Promise<void> {
  await controlPlane.demand('POST', policiesPath, { body, userAgent: 'controller' })
}

async function putSpec(controlPlane: ControlPlane, { metadata: { name }, spec }: Policy): Promise<void> {
  const path = `${policiesPath}/${name}`
  const { body } = await controlPlane.demand('GET', path)
  await controlPlane.demand('PUT', path, { body: { ...body, spec }, userAgent: 'controller' })
}

/** How the reconciler has a stored object go through the webhook. */
async function readmit(controlPlane: ControlPlane, name: string): Promise<void> {
  await patch(controlPlane, name, {})
}

async function patch(controlPlane: ControlPlane, name: string, body: object): Promise<void> {
  const contentType = 'application/merge-patch+json'
  await controlPlane.demand('PATCH', `${policiesPath}/${name}`, { body, contentType, userAgent: 'sidestep' })
}

async function read(controlPlane: ControlPlane, name: string): Promise<Policy> {
  return (await controlPlane.demand('GET', `${policiesPath}/${name}`)).body
}

function lastReviewed({ requests }: TestWebhook, name: string): Policy {
  return requests.findLast(request => request.name === name)?.object as Policy
}

function version({ metadata }: Policy): string | undefined {
  return metadata.resourceVersion
}

function targets({ spec }: Policy): string[] | undefined {
  return spec.targetRefs?.map(({ name }) => name)
}

function lastApplied({ metadata }: Policy): string | undefined {
  return metadata.annotations?.[lastAppliedAnnotation]
}

/** The managers that own a field of the spec. */
function owners(policy: Policy, field: 'selector' | 'targetRefs'): string[] {
  const managers = (policy.metadata.managedFields ?? []).map(({ manager = '' }) => manager)
  return managers.filter(manager => owns(policy, manager, ['f:spec', `f:${field}`]))
}

function owns({ metadata }: Policy, manager: string, path: string[]): boolean {
  const entries = (metadata.managedFields ?? []).filter(entry => entry.manager === manager)
  return entries.some(({ fieldsV1 }) => {
    let here: unknown = fieldsV1
    for (const name of path) here = (here as Record<string, unknown> | undefined)?.[name]
    return here !== undefined
  })
}
