// The objects and requests that the tests of the evaluators are written in.
import type * as core from '../../src/apis/core.ts'
import type * as gateway from '../../src/apis/gateway.ts'
import type * as istio from '../../src/apis/istio.ts'
import type { Diagnostic } from '../../src/translate/report.ts'
import type { Answer, Request } from './answer.ts'
import { type Configuration, istioIngress, type PortName } from './configuration.ts'
import { answerFromVirtualServices } from './virtual-service-evaluator.ts'

export const everywhere: Configuration = {
  virtualServices: [],
  granted: true,
  ports: ['http', 'https', 'extra', 'tls', 'tcp'],
}

export const plain: Request = { host: 'example.org', path: '/a', method: 'GET', headers: {}, queryParams: {} }

export const fullPath: gateway.HTTPRequestRedirectFilter = {
  statusCode: 301,
  path: { type: 'ReplaceFullPath', replaceFullPath: '/b' },
}

export function diagnostic(code: string): Diagnostic {
  return { code: code as Diagnostic['code'], severity: 'warning', field: 'spec.http[0].match[0]', message: 'of /a' }
}

export function to(host: string): { route: { destination: istio.Destination }[] } {
  return { route: [{ destination: { host } }] }
}

export function rule(parts: gateway.HTTPRouteRule): gateway.HTTPRouteRule {
  return { backendRefs: [{ name: 'one', port: 8080 }], ...parts }
}

export function named(metadata: core.ObjectMeta) {
  return { metadata: { namespace: 'a', name: 'x', ...metadata } }
}

export function virtualService(
  spec: istio.VirtualServiceSpec,
  metadata: core.ObjectMeta = {},
  isDelegate = false,
): istio.VirtualService {
  const bound = isDelegate ? {} : { hosts: ['*'], gateways: ['istio-system/public'] }
  return {
    apiVersion: 'networking.istio.io/v1',
    kind: 'VirtualService',
    ...named(metadata),
    spec: { ...bound, ...spec },
  }
}

export function httpRoute(
  rules: gateway.HTTPRouteRule[],
  spec: gateway.HTTPRoute['spec'] = {},
  metadata: core.ObjectMeta = {},
): gateway.HTTPRoute {
  const parentRefs = [{ namespace: 'istio-system', name: 'ingress' }]
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    ...named(metadata),
    spec: { parentRefs, rules, ...spec },
  }
}

export function serviceOfSubset(selector: Record<string, string>): core.Service {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    ...named({ name: 'one-v1' }),
    spec: { selector, ports: [{ port: 8080 }] },
  }
}

export function ask(
  virtualServices: istio.VirtualService[],
  request: Partial<Request> = {},
  port: PortName = 'http',
  configuration = everywhere,
): Answer {
  return answerFromVirtualServices(virtualServices, istioIngress(configuration, 'public', port), {
    ...plain,
    ...request,
  })
}

export function before(http: istio.HTTPRoute[], request: Partial<Request> = {}, port: PortName = 'http'): Answer {
  return ask([virtualService({ http })], request, port)
}

export function serviceOf(answer: Answer): string {
  return answer.kind === 'route' ? answer.destinations.map(({ service }) => service).join() : answer.kind
}

/** Keys in order, so that texts can be compared. */
export function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .map(([key, inner]) => [key, sorted(inner)])
      .sort(),
  )
}
