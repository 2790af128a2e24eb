// What becomes of every field of a RequestAuthentication: the checks stay as they are, only their place changes.
import type * as istio from '../../apis/istio.ts'
import { workloadTargetFates } from '../authorization-policy/fates.ts'
import { listOf, table } from '../fate.ts'

export const shapeCodes = { unknown: 'RA-FIELD-UNKNOWN', type: 'RA-FIELD-TYPE' } as const

const jwtRuleFates = table<istio.JWTRule>({
  issuer: ['translated', 'string'],
  audiences: ['translated', listOf('string')],
  jwksUri: ['translated', 'string'],
  jwks_uri: ['translated', 'string'],
  jwks: ['translated', 'string'],
  fromHeaders: [
    'translated',
    listOf(
      table<{ name?: string; prefix?: string }>({ name: ['translated', 'string'], prefix: ['translated', 'string'] }),
    ),
  ],
  fromParams: ['translated', listOf('string')],
  fromCookies: ['translated', listOf('string')],
  outputPayloadToHeader: ['translated', 'string'],
  forwardOriginalToken: ['translated', 'boolean'],
  outputClaimToHeaders: [
    'translated',
    listOf(
      table<{ header?: string; claim?: string }>({ header: ['translated', 'string'], claim: ['translated', 'string'] }),
    ),
  ],
  timeout: ['translated', 'string'],
  spaceDelimitedClaims: ['translated', listOf('string')],
})

export const requestAuthenticationFates = table<istio.RequestAuthenticationSpec>({
  ...workloadTargetFates,
  jwtRules: ['translated', listOf(jwtRuleFates)],
})
