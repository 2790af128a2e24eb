// The fate tables against the real CRDs: every property that the API server stores has a fate, every fate a property.
import { readFileSync } from 'node:fs'
import t from 'tap'
import { parseAllDocuments } from 'yaml'
import { authorizationPolicyFates } from '../../src/translate/authorization-policy/fates.ts'
import type { Shape, Table } from '../../src/translate/fate.ts'
import { gatewayFates } from '../../src/translate/gateway/fates.ts'
import { translate } from '../../src/translate/index.ts'
import { peerAuthenticationFates } from '../../src/translate/peer-authentication/fates.ts'
import { proxyConfigFates } from '../../src/translate/proxy-config/fates.ts'
import { requestAuthenticationFates } from '../../src/translate/request-authentication/fates.ts'
import { sidecarFates } from '../../src/translate/sidecar/fates.ts'
import { kindKey, snapshotOf } from '../../src/translate/snapshot.ts'
import { virtualServiceFates } from '../../src/translate/virtual-service/fates.ts'
import { crdFiles } from '../control-plane/binaries.ts'
import { readFixtures } from './fixtures.ts'

interface Schema {
  type?: string
  properties?: Record<string, Schema>
  items?: Schema
  additionalProperties?: Schema
  'x-kubernetes-int-or-string'?: boolean
}

const tables: Record<string, Table> = {
  'gateways.networking.istio.io': gatewayFates,
  'virtualservices.networking.istio.io': virtualServiceFates,
  'authorizationpolicies.security.istio.io': authorizationPolicyFates,
  'requestauthentications.security.istio.io': requestAuthenticationFates,
  'peerauthentications.security.istio.io': peerAuthenticationFates,
  'proxyconfigs.networking.istio.io': proxyConfigFates,
  'sidecars.networking.istio.io': sidecarFates,
}

t.test('the fate tables and the CRD schemas have the same fields, of the same types', async t => {
  const files = await crdFiles()
  if ('reason' in files) {
    process.stderr.write(`sidestep: SKIPPING THE COMPARISON WITH THE REAL CRDS: ${files.reason}\n`)
    if (process.env.CI) t.fail(files.reason)
    return
  }
  const crds = files.istio
    .flatMap(file => parseAllDocuments(readFileSync(file, 'utf8')).map(document => document.toJS()))
    .filter(Boolean)
  for (const [name, table] of Object.entries(tables)) {
    const crd = crds.find(({ metadata }) => metadata.name === name)
    for (const { name: version, schema } of crd.spec.versions) {
      const { spec } = schema.openAPIV3Schema.properties
      t.strictSame(differences(spec, table, 'spec'), [], `${name} ${version}`)
    }
  }
})

/** Every field that one of the two has and the other has not, or has with another type. */
function differences(schema: Schema, shape: Shape, path: string): string[] {
  if (shape === 'any') return []
  if (typeof shape === 'string')
    return schema.type === shape ? [] : [`${path} is ${schema.type} in the CRD, ${shape} here`]
  if ('list' in shape) return schema.items ? differences(schema.items, shape.list, `${path}[]`) : [`${path} is no list`]
  if ('map' in shape) {
    const { additionalProperties } = schema
    return additionalProperties ? differences(additionalProperties, shape.map, `${path}{}`) : [`${path} is no map`]
  }
  const properties = schema.properties ?? {}
  const missing = Object.keys(properties).filter(name => !(name in shape.fields))
  const extra = Object.keys(shape.fields).filter(name => !(name in properties))
  const deeper = Object.entries(shape.fields).flatMap(([name, [, inner]]) => {
    const property = properties[name]
    return property ? differences(property, inner, `${path}.${name}`) : []
  })
  return [
    ...missing.map(name => `${path}.${name} is in the CRD and has no fate`),
    ...extra.map(name => `${path}.${name} has a fate and is not in the CRD`),
    ...deeper,
  ]
}

/**
 * A field that is said to be translated has to matter: without it, somewhere, something else comes out. It is tried on
 * every fixture that sets the field, by taking it out and by looking at what sidestep makes of the rest.
 */
t.test('every field that counts as translated changes the result when it is taken out of some fixture', async t => {
  const inert = new Map<string, boolean>()
  for (const { input, cluster, settings } of readFixtures()) {
    for (const object of input) {
      const [kind = '', group] = kindKey(object).split('/')
      const table = tables[`${kind.toLowerCase().replace(/([^aeiou])y$/, '$1ie')}s.${group}`]
      if (!table) continue
      const before = outcome(translate(object, cluster, settings))
      for (const path of setFields((object as { spec?: unknown }).spec, table, [])) {
        const key = `${object.kind} ${path.filter(step => typeof step === 'string').join('.')}`
        if (inert.get(key) === false) continue
        const without = structuredClone(object)
        remove((without as unknown as { spec: unknown }).spec, path)
        const others = [...cluster.virtualServices.values()]
          .flatMap(map => [...map.values()])
          .filter(({ metadata }) => metadata.name !== object.metadata.name)
        const { virtualServices, routing } = snapshotOf(others)
        const rest = { ...cluster, virtualServices, routing }
        inert.set(key, before === outcome(translate(without, rest, settings)))
      }
    }
  }
  t.strictSame(
    [...inert].filter(([, isInert]) => isInert).map(([key]) => key),
    [],
  )
  const all = [
    ...translatedFields(virtualServiceFates, 'VirtualService', 'VirtualService'),
    ...translatedFields(gatewayFates, 'Gateway', 'Gateway'),
    ...translatedFields(peerAuthenticationFates, 'PeerAuthentication', 'PeerAuthentication'),
    ...translatedFields(proxyConfigFates, 'ProxyConfig', 'ProxyConfig'),
    ...translatedFields(sidecarFates, 'Sidecar', 'Sidecar'),
  ]
  const untried = all.filter(key => !inert.has(key))
  t.strictSame(untried, [], 'every translated field of these kinds is set in some fixture')
})

/** The names of all fields whose fate is `translated`, as the test above spells them. */
function translatedFields(shape: Shape, path: string, kind: string): string[] {
  if (typeof shape === 'string' || 'map' in shape) return []
  if ('list' in shape) return translatedFields(shape.list, path, kind)
  return Object.entries(shape.fields).flatMap(([name, [fate, inner]]) => {
    const here = path === kind ? `${kind} ${name}` : `${path}.${name}`
    return fate === 'translated' ? [here, ...translatedFields(inner, here, kind)] : []
  })
}

/** What sidestep says and keeps, without the spec where it stays as it is and differs anyway; policies are moved whole. */
function outcome({ object, companions, warnings, denial }: ReturnType<typeof translate>): string {
  const { spec } = object as { spec?: unknown }
  return JSON.stringify([
    object.kind === 'VirtualService' || object.kind === 'Gateway' ? [] : spec,
    companions,
    warnings,
    denial,
  ])
}

type Path = (string | number)[]

/** The paths of all set fields whose fate is `translated`. */
function setFields(value: unknown, shape: Shape, path: Path): Path[] {
  if (typeof shape === 'string' || typeof value !== 'object' || value === null) return []
  if ('list' in shape)
    return Array.isArray(value) ? value.flatMap((item, i) => setFields(item, shape.list, [...path, i])) : []
  if ('map' in shape) return []
  return Object.entries(value).flatMap(([name, field]) => {
    const [fate, inner] = shape.fields[name] ?? []
    if (fate !== 'translated' || inner === undefined || field === null) return []
    return [[...path, name], ...setFields(field, inner, [...path, name])]
  })
}

function remove(value: unknown, path: Path): void {
  const last = path.at(-1)
  const parent = path
    .slice(0, -1)
    .reduce<unknown>((here, step) => (here as Record<string | number, unknown>)[step], value)
  if (last !== undefined) delete (parent as Record<string | number, unknown>)[last]
}
