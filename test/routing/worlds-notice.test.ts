// Checks the checker again, beyond one listener: other ports and gateways, the mesh, connections, and routes of others.
// For each place one translation that is right, made by hand, and others that are wrong there and must be noticed.
import t from 'tap'
import type { KubernetesObject } from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import { differences } from './comparison.ts'
import type { Configuration } from './configuration.ts'
import type { ConnectionRoute } from './connections.ts'
import { diagnostic, httpRoute, named, rule, serviceOfSubset, to, virtualService } from './samples.ts'

const ingress = { namespace: 'istio-system', name: 'ingress' }
const backstage = { namespace: 'istio-system', name: 'backstage' }
const service = { group: '', kind: 'Service', name: 'one' }
const other: gateway.HTTPRouteRule = { backendRefs: [{ name: 'other', port: 9090 }] }

t.test('ports', async t => {
  const configuration: Configuration = {
    ...only({ http: [{ match: [{ port: 443 }], ...to('one') }] }),
    ports: ['http', 'https'],
  }
  const attached = (parent: Partial<gateway.ParentReference>) =>
    isNoticed(configuration, [httpRoute([rule({})], { parentRefs: [{ ...ingress, ...parent }] })])
  t.notOk(attached({ sectionName: 'https' }))
  t.notOk(attached({ port: 443 }))
  t.ok(attached({}), 'on all listeners')
  t.ok(attached({ sectionName: 'http' }), 'on the wrong one')
})

t.test('gateways', async t => {
  const configuration = only({ gateways: ['istio-system/public', 'istio-system/internal'], http: [to('one')] })
  const attached = (...parentRefs: gateway.ParentReference[]) =>
    isNoticed(configuration, [httpRoute([rule({})], { parentRefs })])
  t.notOk(attached(ingress, backstage))
  t.ok(attached(ingress), 'one is forgotten')
  t.ok(isNoticed(only({ http: [to('one')] }), [httpRoute([rule({})], { parentRefs: [backstage] })]), 'another one')
})

t.test('the mesh', async t => {
  const { gateways: _, ...spec } = virtualService({ hosts: ['one'], http: [to('other')] }).spec
  const configuration: Configuration = {
    ...only({}),
    virtualServices: [{ ...virtualService({}), spec }],
    waypoints: ['a'],
  }
  const kept = (route: gateway.HTTPRoute, said: string[] = []) => isNoticed(configuration, [route], said)
  t.notOk(kept(httpRoute([other], { parentRefs: [service] })))
  t.ok(kept(httpRoute([other], { parentRefs: [{ ...service, name: 'several' }] })), 'another Service')
  t.ok(kept(httpRoute([other], { parentRefs: [service] }, { namespace: 'b' })), 'in a namespace that is not read')
  t.ok(kept(httpRoute([rule({})], { parentRefs: [service] })), 'another destination')
  t.ok(kept(httpRoute([other], { parentRefs: [ingress] })), 'only on a gateway')
  t.notOk(kept(httpRoute([other], { parentRefs: [ingress] }), ['VS-GATEWAYS-MESH']), 'and it is said')
  t.ok(isNoticed({ ...configuration, waypoints: [] }, [httpRoute([other], { parentRefs: [service] })]), 'no waypoint')
  const limited = { ...configuration, virtualServices: [{ ...virtualService({}), spec: { ...spec, exportTo: ['.'] } }] }
  t.ok(isNoticed(limited, [httpRoute([other], { parentRefs: [service] })]), 'clients that did not see it')
})

t.test('subsets', async t => {
  const configuration = only({ http: [{ route: [{ destination: { host: 'one', subset: 'v1' } }] }] })
  const route = httpRoute([{ backendRefs: [{ name: 'one-v1', port: 8080 }] }])
  t.notOk(isNoticed(configuration, [route, serviceOfSubset({ app: 'one', version: 'v1' })]))
  t.ok(isNoticed(configuration, [route, serviceOfSubset({ app: 'one' })]), 'of all pods')
  t.ok(isNoticed(configuration, [route]), 'without its Service')
  t.ok(isNoticed(configuration, [httpRoute([rule({})])]), 'the Service itself')
})

t.test('connections', async t => {
  const tls = [{ match: [{ sniHosts: ['app.example.com'] }], ...to('one') }]
  const configuration: Configuration = { ...only({ tls }), ports: ['http', 'tls', 'tcp'] }
  const route = (spec: ConnectionRoute['spec'], kind: ConnectionRoute['kind'] = 'TLSRoute'): ConnectionRoute => {
    const rules = [{ backendRefs: [{ name: 'one', port: 8080 }] }]
    return { apiVersion: '', kind, ...named({}), spec: { parentRefs: [{ ...ingress, port: 15443 }], rules, ...spec } }
  }
  const hostnames = ['app.example.com']
  t.notOk(isNoticed(configuration, [route({ hostnames })]))
  t.ok(isNoticed(configuration, [route({})]), 'all names')
  t.ok(isNoticed(configuration, [route({ hostnames: ['www.example.com'] })]), 'another name')
  t.ok(isNoticed(configuration, [route({ hostnames, rules: [other] })]), 'another destination')
  t.ok(isNoticed(configuration, [route({ hostnames }, 'TCPRoute')]), 'another protocol')
  const tcp: Configuration = { ...only({ tcp: [to('one')] }), ports: ['http', 'tls', 'tcp'] }
  t.notOk(isNoticed(tcp, [route({ parentRefs: [{ ...ingress, port: 31400 }] }, 'TCPRoute')]))
  t.ok(isNoticed(tcp, [route({}, 'TCPRoute')]), 'another listener')
})

t.test('routes of others', async t => {
  const theirs = httpRoute([other], {}, { name: 'theirs', namespace: 'b' })
  const exact = { matches: [{ path: { type: 'Exact', value: '/a' } }] } as const
  const configuration: Configuration = {
    ...only({ http: [{ match: [{ uri: { exact: '/a' } }], ...to('one') }] }),
    httpRoutes: [theirs],
  }
  t.notOk(isNoticed(configuration, [httpRoute([rule({ matches: [...exact.matches] })])]), 'theirs answer the rest')
  t.ok(isNoticed(configuration, [httpRoute([rule({})])]), 'theirs are taken over')
  const narrower = {
    ...configuration,
    httpRoutes: [httpRoute([other], { hostnames: ['example.org'] }, { name: 'theirs' })],
  }
  t.ok(isNoticed(narrower, [httpRoute([rule({ matches: [...exact.matches] })])]), 'theirs take over')
})

t.test('what is refused is not compared', async t => {
  t.notOk(isNoticed(only({ http: [to('one')] }), []))
  const configuration: Configuration = {
    virtualServices: [
      virtualService({ http: [{ match: [{ uri: { exact: '/b' } }], ...to('one') }] }, { name: 'refused' }),
      virtualService({ http: [to('one')] }),
    ],
    granted: true,
  }
  t.notOk(isNoticed(configuration, [httpRoute([rule({})])]), 'whoever answers for it')
})

function only(spec: istio.VirtualServiceSpec): Configuration {
  return { virtualServices: [virtualService(spec)], granted: true }
}

/** Whether there is a difference when these objects are kept beside `a/x`, and these codes are said of it. */
function isNoticed(configuration: Configuration, companions: KubernetesObject[], codes: string[] = []): boolean {
  const warnings: Diagnostic[] = codes.map(diagnostic)
  const translations = new Map(
    configuration.virtualServices.map(object => {
      const isKept = object.metadata.name === 'x'
      return [`a/${object.metadata.name}`, { object, companions: isKept ? companions : [], warnings }]
    }),
  )
  const [difference] = differences(configuration, translations, Number.POSITIVE_INFINITY)
  return difference !== undefined
}
