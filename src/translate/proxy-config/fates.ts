// What becomes of every field of a ProxyConfig: gateways and waypoints go on reading all of them.
import type * as istio from '../../apis/istio.ts'
import { mapOf, table } from '../fate.ts'

export const shapeCodes = { type: 'PC-FIELD-TYPE' } as const

const selectorFates = table<{ matchLabels?: Record<string, string> }>({ matchLabels: ['translated', mapOf('string')] })

export const proxyConfigFates = table<istio.ProxyConfigSpec>({
  selector: ['translated', selectorFates],
  concurrency: ['harmless', 'integer'],
  environmentVariables: ['harmless', mapOf('string')],
  image: ['harmless', table<{ imageType?: string }>({ imageType: ['harmless', 'string'] })],
})
