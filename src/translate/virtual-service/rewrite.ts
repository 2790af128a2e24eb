// spec.http[].rewrite -> URLRewrite, by the truth table of research/virtualservice.md 1.3.
// Istio replaces the matched text, HTTPRoute the matched path elements; where the two part, somebody is told.
import type * as gateway from '../../apis/gateway.ts'
import type * as istio from '../../apis/istio.ts'
import { isHostname } from '../hostname.ts'
import type { Report } from '../report.ts'
import { baseOf, type PlannedPath, shown } from './match.ts'

/**
 * The filter for one match of an `http` entry; undefined when nothing is rewritten.
 * ReplacePrefixMatch is valid only in a rule with exactly one PathPrefix match, so the caller makes a rule per match.
 */
export function rewriteFilter(
  { authority, uri, uriRegexRewrite }: istio.HTTPRewrite,
  path: PlannedPath,
  field: string,
  report: Report,
): gateway.HTTPRouteFilter | undefined {
  const urlRewrite: gateway.HTTPURLRewriteFilter = {}
  if (authority) {
    if (isHostname(authority.toLowerCase())) urlRewrite.hostname = authority.toLowerCase()
    else report('VS-REWRITE-AUTHORITY', `${field}.authority`)
  }
  const modifier = uriRegexRewrite
    ? regexModifier(uriRegexRewrite, path, `${field}.uriRegexRewrite`, report)
    : uri && pathModifier(uri, path, `${field}.uri`, report)
  if (modifier) urlRewrite.path = modifier
  return urlRewrite.hostname || urlRewrite.path ? { type: 'URLRewrite', urlRewrite } : undefined
}

function pathModifier(
  uri: string,
  path: PlannedPath,
  field: string,
  report: Report,
): gateway.HTTPPathModifier | undefined {
  const base = baseOf(path)
  // Istio's prefix rewrite on an exact or regex match replaces the whole path. In an HTTPRoute it writes that as the
  // substitution of a regex, where a backslash is a reference (docs/decisions/0003-envoy.md).
  if ((base === undefined || path.kind === 'exact') && uri.includes('\\')) report('VS-REWRITE-BACKSLASH', field)
  if (base === undefined) return { type: 'ReplaceFullPath', replaceFullPath: uri }
  if (uri === base && path.kind !== 'regex') return undefined // Rewritten to itself, as Kubeflow's notebooks are: no filter.
  // What the path has beyond the prefix stays (order.ts makes such paths out of two matches, pathPrefixes out of one).
  const rest = path.text.slice(base.length)
  if (path.kind === 'exact') return { type: 'ReplaceFullPath', replaceFullPath: uri + rest }
  if (path.match.type === 'PathPrefix') return prefixModifier(path.text, uri + rest, field, report)
  // A path that PathPrefix cannot hold is a regex, and a regex has no part that could be replaced.
  report('VS-REWRITE-MATCH', field, { path: shown(path.text) })
  return undefined
}

/**
 * A text prefix replaced by text, said with path elements. The two agree on every path below the prefix when both end
 * alike; `/foo` -> `/` only loses a double slash, and anything else would hand the app another path.
 */
function prefixModifier(
  prefix: string,
  uri: string,
  field: string,
  report: Report,
): gateway.HTTPPathModifier | undefined {
  if (prefix === '') {
    // Istio puts the replacement before the path; an HTTPRoute on `/` would put it in the place of the slash.
    report('VS-REWRITE-PREFIX', field, { sample: '/bar', before: `${uri}/bar`, after: `${uri}bar` })
    return undefined
  }
  const element = withoutSlash(prefix)
  const replaced = withoutSlash(uri)
  const before = `${uri}${`${element}/bar`.slice(prefix.length)}`
  const after = `${replaced}/bar`
  const sample = `${element}/bar`
  // Istio leaves the prefix `/` a plain prefix and trims the replacement, so `/` -> `/x` comes out as it does today,
  // and `/` -> `/x/` does not (istio/istio#54920).
  if (prefix === '/') {
    if (!uri.endsWith('/')) return { type: 'ReplacePrefixMatch', replacePrefixMatch: uri }
    report('VS-REWRITE-PREFIX', field, { sample: '/bar', before: `${uri}bar`, after: `${replaced}bar` })
    return undefined
  }
  if (before !== after) {
    if (before.replace('//', '/') !== after) {
      report('VS-REWRITE-PREFIX', field, { sample, before, after })
      return undefined
    }
    report('VS-REWRITE-SLASH', field, { sample, before, after })
  }
  return { type: 'ReplacePrefixMatch', replacePrefixMatch: replaced || '/' }
}

/**
 * The regexes that are no more than what HTTPRoute can say: a text in the place of the whole path, and the prefix of the
 * match taken away. Everything that an HTTPRoute matches begins with the prefix, so nothing else has to be looked at.
 */
function regexModifier(
  { match = '', rewrite = '' }: NonNullable<istio.HTTPRewrite['uriRegexRewrite']>,
  { match: { type, value }, base }: PlannedPath,
  field: string,
  report: Report,
): gateway.HTTPPathModifier | undefined {
  if (/^\^?\/?\.\*\$?$/.test(match) && rewrite.startsWith('/') && !rewrite.includes('\\'))
    return { type: 'ReplaceFullPath', replaceFullPath: rewrite }
  // `^/app/(.*)` is none of them: it leaves bare `/app` as it is, which PathPrefix gains and would replace.
  const [, prefix, rest] = /^\^?(\/[^()|$?]+?)(\(\/\|\$\)\(\.\*\)|\/\?\(\.\*\))\$?$/.exec(match) ?? []
  const isPrefix = type === 'PathPrefix' && base === undefined && prefix === value && /^[-\w/.~]+$/.test(value)
  const remainder = rest?.startsWith('(') ? '/\\2' : '/\\1'
  if (isPrefix && rewrite === remainder) return { type: 'ReplacePrefixMatch', replacePrefixMatch: '/' }
  report('VS-REWRITE-REGEX', field)
  return undefined
}

function withoutSlash(path: string): string {
  return path.endsWith('/') ? path.slice(0, -1) : path
}
