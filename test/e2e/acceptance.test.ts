// Does a real API server take what sidestep writes? Every object of a converted Kubeflow installation and of every
// fixture, against the CRDs of both channels, with their schemas and CEL rules. Nothing is stored: dryRun=All.
import { join } from 'node:path'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import type { KubernetesObject } from '../../src/apis/core.ts'
import { run } from '../../src/cli/main.ts'
import { translate } from '../../src/translate/index.ts'
import type { ControlPlane } from '../control-plane/index.ts'
import { controlPlaneOrSkip } from '../control-plane/skip.ts'
import { alternatives, corpusDirectory, corpusSkipped, readCorpus } from '../support/corpus.ts'
import { memory } from '../support/memory.ts'
import { readFixtures } from '../translate/fixtures.ts'

const directory = corpusDirectory()

/** The resources that sidestep writes. Others of an installation have CRDs that are not installed here. */
const resources: Record<string, string> = {
  Namespace: 'namespaces',
  Service: 'services',
  VirtualService: 'virtualservices',
  AuthorizationPolicy: 'authorizationpolicies',
  RequestAuthentication: 'requestauthentications',
  PeerAuthentication: 'peerauthentications',
  HTTPRoute: 'httproutes',
  TLSRoute: 'tlsroutes',
  TCPRoute: 'tcproutes',
  GRPCRoute: 'grpcroutes',
  Gateway: 'gateways',
  ReferenceGrant: 'referencegrants',
}

t.test(
  'convert takes every file of a Kubeflow installation by itself',
  { skip: directory ? false : corpusSkipped },
  async t => {
    if (!directory) return
    for (const file of new Set(readCorpus(directory).map(({ file }) => file))) {
      const { io, stdout, stderr } = memory()
      const code = await run(['convert', '-f', join(directory, file)], io)
      t.ok(code === 0 || code === 1, `${file} ends with ${code}`)
      t.notMatch(stderr(), /this is a bug/, file)
      t.equal(parseAllDocuments(stdout()).flatMap(({ errors }) => errors).length, 0, `${file} gives YAML`)
    }
  },
)

for (const channel of ['standard', 'experimental'] as const) {
  t.test(`with the ${channel} CRDs`, async t => {
    const controlPlane = await controlPlaneOrSkip(t, { channel })
    if (!controlPlane) return

    await t.test('a converted Kubeflow installation', { skip: directory ? false : corpusSkipped }, async t => {
      const objects = await convertedInstallation()
      const refused = await refusals(controlPlane, objects)
      t.strictSame(refused, [], `${objects.length} objects are taken`)
      const companions = objects.filter(
        ({ metadata }) => metadata.labels?.['app.kubernetes.io/managed-by'] === 'sidestep',
      )
      t.ok(companions.length > 25, `${companions.length} of them are companions`)
    })

    await t.test('what sidestep makes of every fixture that it does not refuse', async t => {
      // A fixture whose cluster has the experimental CRDs may write what standard ones do not know.
      const fixtures = readFixtures().filter(
        ({ cluster }) => channel === 'experimental' || !cluster.capabilities.httpRoute.retry,
      )
      const objects = fixtures.flatMap(({ input, cluster, settings }) =>
        input
          .map(object => ({ given: object, translation: translate(object, cluster, settings) }))
          .filter(({ translation }) => !translation.denial)
          .flatMap(({ given, translation: { object, companions } }) => [
            ...(object === given ? [] : [object]),
            ...companions,
          ]),
      )
      const refused = await refusals(controlPlane, objects)
      t.strictSame(refused, [], `${objects.length} objects are taken`)
      t.ok(objects.length > 150)
    })
  })
}

/** A whole installation through the command line, as far as its kinds are known to the API server here. */
async function convertedInstallation(): Promise<KubernetesObject[]> {
  const files = readCorpus(directory ?? '').map(({ file }) => file)
  const inputs = [...new Set(files)].filter(file => !alternatives.includes(file))
  const { io, stdout, stderr } = memory()
  const code = await run(['convert', ...inputs.flatMap(file => ['-f', join(directory ?? '', file)])], io)
  if (code !== 0) throw new Error(stderr())
  const objects: KubernetesObject[] = parseAllDocuments(stdout()).map(document => document.toJS())
  return objects.filter(({ kind }) => kind in resources)
}

/** What the API server says against each object that it does not take. */
async function refusals(controlPlane: ControlPlane, objects: KubernetesObject[]): Promise<string[]> {
  const namespaces = new Set(objects.flatMap(({ metadata }) => metadata.namespace ?? []))
  await controlPlane.apply([...namespaces].map(name => ({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } })))
  const answers = await Promise.all(
    objects.map(async object => {
      const { apiVersion, kind, metadata } = object
      const group = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
      const namespace = metadata.namespace ? `/namespaces/${metadata.namespace}` : ''
      // Only what is in the object counts here: that its Namespace is there already is no refusal. Every other name is
      // tried as it is, since some are as long as they may be.
      const { uid: _, ...rest } = metadata
      const name = kind === 'Namespace' ? `${metadata.name}-tried` : (metadata.name ?? '')
      const body = { ...object, metadata: { ...rest, name } }
      const path = `${group}${namespace}/${resources[kind]}?dryRun=All&fieldValidation=Strict`
      const { status, body: answer } = await controlPlane.request('POST', path, { body })
      return status === 201
        ? []
        : [`${kind} ${metadata.namespace}/${metadata.name}: ${(answer as { message?: string }).message}`]
    }),
  )
  return answers.flat()
}
