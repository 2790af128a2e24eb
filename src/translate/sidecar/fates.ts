// What becomes of every field of a Sidecar: nothing in ambient reads any of them.
import type * as istio from '../../apis/istio.ts'
import { listOf, mapOf, table } from '../fate.ts'

export const shapeCodes = { type: 'SC-FIELD-TYPE' } as const

const selectorFates = table<{ labels?: Record<string, string> }>({ labels: ['harmless', mapOf('string')] })

const portFates = table<istio.SidecarPort>({
  number: ['translated', 'integer'],
  protocol: ['harmless', 'string'],
  name: ['harmless', 'string'],
  targetPort: ['harmless', 'integer'],
})

const ingressFates = table<istio.IstioIngressListener>({
  port: ['translated', portFates],
  bind: ['translated', 'string'],
  captureMode: ['harmless', 'string'],
  defaultEndpoint: ['translated', 'string'],
  tls: ['translated', 'any'],
  connectionPool: ['SC-CONNECTION-POOL', 'any'],
})

/** Without an address of its own a port narrows a scope only, and does not make anybody listen. */
const egressFates = table<istio.IstioEgressListener>({
  port: [
    'harmless',
    table<istio.SidecarPort>({
      number: ['harmless', 'integer'],
      protocol: ['harmless', 'string'],
      name: ['harmless', 'string'],
      targetPort: ['harmless', 'integer'],
    }),
  ],
  bind: ['translated', 'string'],
  captureMode: ['translated', 'string'],
  hosts: ['translated', listOf('string')],
})

export const sidecarFates = table<istio.SidecarSpec>({
  workloadSelector: ['harmless', selectorFates],
  ingress: ['translated', listOf(ingressFates)],
  egress: ['translated', listOf(egressFates)],
  inboundConnectionPool: ['SC-CONNECTION-POOL', 'any'],
  outboundTrafficPolicy: [
    'translated',
    table<{ mode?: string; egressProxy?: unknown }>({
      mode: ['translated', 'string'],
      egressProxy: ['SC-OUTBOUND-PROXY', 'any'],
    }),
  ],
})
