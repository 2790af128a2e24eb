// Checks the checker: one configuration whose translation is right, and every way to spoil it that should be noticed.
// A corruption that goes unnoticed would mean that the property in equivalence.ts proves nothing about it.
import t from 'tap'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import { differences, httpRoutesOf } from './comparison.ts'
import { type Configuration, keyOf, translateAll } from './configuration.ts'

const configuration: Configuration = {
  granted: true,
  virtualServices: [
    {
      apiVersion: 'networking.istio.io/v1',
      kind: 'VirtualService',
      metadata: { namespace: 'a', name: 'x', creationTimestamp: '2024-01-01T00:00:00Z' },
      spec: {
        hosts: ['app.example.com'],
        gateways: ['istio-system/public'],
        http: [
          // Two rules that HTTPRoute ranks alike: only their order in the list tells them apart.
          { match: [{ uri: { prefix: '/a/' }, headers: { 'x-a': { exact: 'v1' } } }], ...to('one') },
          { match: [{ uri: { prefix: '/a/' }, headers: { 'x-b': { regex: 'v.' } } }], ...to('other') },
          {
            match: [{ uri: { exact: '/q' }, queryParams: { q: { exact: 'v1' } } }],
            ...to('one'),
            rewrite: { uri: '/r' },
          },
          { match: [{ uri: { exact: '/post' }, method: { exact: 'POST' } }], ...to('one') },
          {
            match: [{ uri: { prefix: '/b/' } }],
            route: [
              { destination: { host: 'one' }, weight: 90 },
              { destination: { host: 'other.b.svc.cluster.local', port: { number: 9090 } }, weight: 10 },
            ],
            rewrite: { uri: '/c/', authority: 'in.example.com' },
            timeout: '1.5s',
            headers: { request: { set: { 'x-set': '1' } }, response: { remove: ['x-gone'] } },
          },
          {
            match: [{ uri: { exact: '/old' } }],
            redirect: { uri: '/new', authority: 'new.example.com', scheme: 'https', port: 8443 },
          },
        ],
      },
    },
  ],
}

function to(host: string): istio.HTTPRoute {
  return { route: [{ destination: { host } }] }
}

const backend: gateway.HTTPBackendRef = { name: 'several', port: 81 }

type Rules = Record<'a' | 'a2' | 'q' | 'post' | 'b' | 'old', gateway.HTTPRouteRule>

/** Each corruption changes the rules, found by what they match, or the whole HTTPRoute. */
const corruptions: Record<string, (rules: Rules, route: gateway.HTTPRoute) => void> = {
  'rules of equal rank swapped': (_, { spec }) => spec.rules?.reverse(),
  'rule left out': ({ b }, { spec }) => spec.rules?.splice(spec.rules.indexOf(b), 1),
  'rule added in front': (_, { spec }) => spec.rules?.unshift({ matches: [exact('/a/x')], backendRefs: [backend] }),
  'catch-all added': (_, { spec }) => spec.rules?.push({ backendRefs: [backend] }),
  'header condition dropped': ({ a }) => delete firstMatch(a).headers,
  'header value changed': ({ a }) => Object.assign(firstMatch(a).headers?.[0] ?? {}, { value: 'v2' }),
  'header regex taken literally': ({ a2 }) => Object.assign(firstMatch(a2).headers?.[0] ?? {}, { type: 'Exact' }),
  'query parameter dropped': ({ q }) => delete firstMatch(q).queryParams,
  'method dropped': ({ post }) => delete firstMatch(post).method,
  'PathPrefix value changed': ({ b }) => Object.assign(firstMatch(b).path ?? {}, { value: '/' }),
  'PathPrefix made Exact': ({ b }) => Object.assign(firstMatch(b).path ?? {}, { type: 'Exact' }),
  'Exact made PathPrefix': ({ old }) => Object.assign(firstMatch(old).path ?? {}, { type: 'PathPrefix' }),
  'PathPrefix made a regex of the text prefix': ({ b }) =>
    Object.assign(firstMatch(b).path ?? {}, { type: 'RegularExpression', value: '/b.*' }),
  'weight dropped': ({ b }) => delete b.backendRefs?.[0]?.weight,
  'weight of 0': ({ b }) => Object.assign(b.backendRefs?.[1] ?? {}, { weight: 0 }),
  'another Service': ({ a }) => Object.assign(a.backendRefs?.[0] ?? {}, { name: 'other' }),
  'another port': ({ a }) => Object.assign(a.backendRefs?.[0] ?? {}, { port: 80 }),
  'another namespace': ({ b }) => delete b.backendRefs?.[1]?.namespace,
  'port dropped, which loses all rules': ({ a }) => delete a.backendRefs?.[0]?.port,
  'backends dropped, which gives 500': ({ a }) => delete a.backendRefs,
  'timeout dropped': ({ b }) => delete b.timeouts,
  'timeout in another unit': ({ b }) => Object.assign(b, { timeouts: { request: '1500s' } }),
  'request headers dropped': ({ b }) => without(b, 'RequestHeaderModifier'),
  'response headers dropped': ({ b }) => without(b, 'ResponseHeaderModifier'),
  'rewrite dropped': ({ b }) => without(b, 'URLRewrite'),
  'rewritten host dropped': ({ b }) => delete rewrite(b).hostname,
  'rewrite of the whole path dropped': ({ q }) => without(q, 'URLRewrite'),
  'prefix replaced by another': ({ b }) =>
    Object.assign(rewrite(b), { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/d' } }),
  'whole path replaced instead of the prefix': ({ b }) =>
    Object.assign(rewrite(b), { path: { type: 'ReplaceFullPath', replaceFullPath: '/c/' } }),
  'redirect code dropped': ({ old }) => delete redirect(old).statusCode,
  'redirect path dropped': ({ old }) => delete redirect(old).path,
  'redirect host dropped': ({ old }) => delete redirect(old).hostname,
  'redirect scheme dropped': ({ old }) => delete redirect(old).scheme,
  'redirect port dropped': ({ old }) => delete redirect(old).port,
  'hostnames dropped, which means all': (_, { spec }) => delete spec.hostnames,
  'hostname widened': (_, { spec }) => Object.assign(spec, { hostnames: ['*.example.com'] }),
  'another Gateway': (_, { spec }) => Object.assign(spec, { parentRefs: [{ name: 'ingress', namespace: 'b' }] }),
  'another listener': (_, { spec }) => Object.assign(spec.parentRefs?.[0] ?? {}, { sectionName: 'https' }),
}

t.notOk(
  isNoticed(() => {}),
  'the translation itself is right',
)

for (const [name, corrupt] of Object.entries(corruptions)) {
  t.ok(isNoticed(corrupt), name)
}

/** Whether there is a difference, when the HTTPRoute of the translation is corrupted. */
function isNoticed(corrupt: (rules: Rules, route: gateway.HTTPRoute) => void): boolean {
  const translations = structuredClone(translateAll(configuration))
  const [route] = [...translations.values()].flatMap(httpRoutesOf)
  if (!route) throw new Error(`${configuration.virtualServices.map(keyOf)} must be translated`)
  const ruleFor = (value: string, header?: string) => {
    const rule = (route.spec.rules ?? []).find(({ matches = [] }) =>
      matches.some(({ path, headers }) => path?.value === value && (!header || headers?.[0]?.name === header)),
    )
    if (!rule) throw new Error(`${value} must have a rule`)
    return rule
  }
  const rules = { a: ruleFor('/a', 'x-a'), a2: ruleFor('/a', 'x-b'), q: ruleFor('/q'), post: ruleFor('/post') }
  corrupt({ ...rules, b: ruleFor('/b'), old: ruleFor('/old') }, route)
  const [difference] = differences(configuration, translations, Number.POSITIVE_INFINITY)
  return difference !== undefined
}

function exact(value: string): gateway.HTTPRouteMatch {
  return { path: { type: 'Exact', value } }
}

function firstMatch({ matches }: gateway.HTTPRouteRule): gateway.HTTPRouteMatch {
  return matches?.[0] ?? {}
}

function without(rule: gateway.HTTPRouteRule, type: gateway.HTTPRouteFilter['type']): void {
  rule.filters = (rule.filters ?? []).filter(filter => filter.type !== type)
}

function rewrite({ filters = [] }: gateway.HTTPRouteRule): gateway.HTTPURLRewriteFilter {
  const filter = filters.find(({ type }) => type === 'URLRewrite')
  return filter?.type === 'URLRewrite' ? filter.urlRewrite : {}
}

function redirect({ filters = [] }: gateway.HTTPRouteRule): gateway.HTTPRequestRedirectFilter {
  const filter = filters.find(({ type }) => type === 'RequestRedirect')
  return filter?.type === 'RequestRedirect' ? filter.requestRedirect : {}
}
