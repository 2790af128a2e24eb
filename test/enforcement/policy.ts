// What one proxy decides over one request by the policies that it has: Envoy reads all of them, ztunnel what is L4.
import type * as istio from '../../src/apis/istio.ts'
import { type Clause, clausesOf, holds, type Match, type Term } from './match.ts'
import { memoized } from './memoized.ts'
import type { Decision, View } from './request.ts'
import { keyOf } from './world.ts'

/** A policy in the form in which it is matched. */
interface Compiled {
  key: string
  action: 'ALLOW' | 'DENY' | 'CUSTOM' | 'AUDIT'
  /** ORed, so no rules match nothing. */
  rules: Clause[][]
}

/** Whether ztunnel decides a rule just as Envoy would: nothing in it is stripped, dropped or read otherwise (1.1). */
export function isExactAtZtunnel(rule: istio.Rule): boolean {
  return clausesOf(rule, '').flat(2).every(isExactTerm)
}

function isExactTerm({ attribute, values, ztunnel }: Term): boolean {
  const isText = attribute === 'source.namespace' && values.some(value => /^[^*]+[*][^*]+$/.test(value))
  return ztunnel === 'read' && !isText
}

/** Whether a rule matches as Envoy reads it, all attributes or only those that ztunnel could check as well. */
export function ruleMatches(rule: istio.Rule, namespace: string, view: View, terms: 'all' | 'exact'): boolean {
  const clauses = clausesOf(rule, namespace)
  const kept = (match: Match) => (terms === 'all' ? match : match.filter(isExactTerm))
  return envoyMatches(
    clauses.map(clause => clause.map(kept)),
    view,
  )
}

/** Envoy (sidecar, waypoint, gateway): every attribute; CUSTOM before DENY before ALLOW. */
export function envoyDecides(policies: istio.AuthorizationPolicy[], view: View): Decision {
  const compiled = policies.map(policy => compile(policy))
  const matching = compiled.filter(({ rules }) => rules.some(rule => envoyMatches(rule, view)))
  const custom = matching.find(({ action }) => action === 'CUSTOM')
  if (custom && view.http.externalAuthorizer === 'denies') return denied(`CUSTOM ${custom.key}`)
  return decide(compiled, matching)
}

/** Clauses AND, matches OR, terms AND. */
function envoyMatches(rule: Clause[], view: View): boolean {
  return rule.every(clause => clause.some(match => match.every(term => holds(term, view, 'envoy'))))
}

/** ztunnel, 1.2: CUSTOM and AUDIT never arrive there, the others without what is HTTP; DENY before ALLOW. */
export function ztunnelDecides(policies: istio.AuthorizationPolicy[], view: View): Decision {
  const compiled = policies
    .map(policy => forZtunnel(compile(policy)))
    .filter(({ action }) => action === 'ALLOW' || action === 'DENY')
  const matching = compiled.filter(({ rules }) => rules.some(rule => ztunnelMatches(rule, view)))
  return decide(compiled, matching)
}

/** 1.2, "an empty Match is skipped (never matches)", and a clause of nothing but empty ones never holds. */
function ztunnelMatches(rule: Clause[], view: View): boolean {
  return rule.every(clause =>
    clause.some(match => match.length > 0 && match.every(term => holds(term, view, 'ztunnel'))),
  )
}

/** 1.2, the table: an ALLOW loses each rule with an HTTP attribute; a DENY loses the attribute and keeps the match. */
const forZtunnel = memoized(({ key, action, rules }: Compiled): Compiled => {
  const isL4 = (match: Match) => match.every(({ ztunnel }) => ztunnel !== 'stripped')
  const kept = action === 'ALLOW' ? rules.filter(rule => rule.every(clause => clause.every(isL4))) : rules
  const read = (match: Match) => match.filter(({ ztunnel }) => ztunnel === 'read')
  return { key, action, rules: kept.map(rule => rule.map(clause => clause.map(read))) }
})

const compile = memoized((policy: istio.AuthorizationPolicy): Compiled => {
  const { action = 'ALLOW', rules = [] } = policy.spec
  return {
    key: keyOf(policy),
    action: isDryRun(policy) ? 'AUDIT' : action,
    rules: rules.map(rule => clausesOf(rule, policy.metadata.namespace ?? '')),
  }
})

/** 1.2, the last row but one: enforced nowhere, so it decides as little as AUDIT. */
export function isDryRun({ metadata, spec }: istio.AuthorizationPolicy): boolean {
  const value = metadata.annotations?.['istio.io/dry-run'] ?? 'false'
  if (value !== 'true' && value !== 'false') throw new Error(`unmodelled: dry run ${value}`)
  // Istio knows no dry run of CUSTOM (API reference of AuthorizationPolicy), so the annotation takes nothing away.
  return value === 'true' && spec.action !== 'CUSTOM'
}

/** 1.2, "Order": a DENY that matches, else open when nothing is an ALLOW, else an ALLOW that matches. */
function decide(policies: Compiled[], matching: Compiled[]): Decision {
  const deny = matching.find(({ action }) => action === 'DENY')
  if (deny) return denied(`DENY ${deny.key}`)
  if (!policies.some(({ action }) => action === 'ALLOW')) return { allowed: true, reason: 'no ALLOW policy' }
  const allow = matching.find(({ action }) => action === 'ALLOW')
  return allow ? { allowed: true, reason: `ALLOW ${allow.key}` } : denied('no ALLOW policy matches')
}

function denied(reason: string): Decision {
  return { allowed: false, reason }
}
