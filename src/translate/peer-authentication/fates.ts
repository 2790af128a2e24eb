// What becomes of every field of a PeerAuthentication (research/policies.md, section 2).
// `translated` here mostly means: judged by what ztunnel will make of it, and kept.
import type * as istio from '../../apis/istio.ts'
import { mapOf, table } from '../fate.ts'

export const shapeCodes = { unknown: 'PA-FIELD-UNKNOWN', type: 'PA-FIELD-TYPE' } as const

const selectorFates = table<{ matchLabels?: Record<string, string> }>({ matchLabels: ['translated', mapOf('string')] })

const mutualTLSFates = table<istio.MutualTLS>({ mode: ['translated', 'string'] })

export const peerAuthenticationFates = table<istio.PeerAuthenticationSpec>({
  selector: ['translated', selectorFates],
  mtls: ['translated', mutualTLSFates],
  portLevelMtls: ['translated', mapOf(mutualTLSFates)],
})
