// Host names and wildcards, as Istio and Gateway API both read them.

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

/** A DNS name in lower case: no wildcard, no port, no IP address. */
export function isHostname(host: string): boolean {
  if (host.length > 253 || /^[0-9.]+$/.test(host)) return false
  return host.split('.').every(part => part.length <= 63 && label.test(part))
}

/** Whether the pattern, a name or `*.name` or `*`, matches all that the host does. */
export function isCovered(host: string, pattern: string): boolean {
  if (pattern === '*' || pattern === host) return true
  return pattern.startsWith('*.') && host.endsWith(pattern.slice(1)) && host !== pattern.slice(2)
}

/** Whether some host matches both patterns; then one of them covers the other. */
export function overlaps(a: string, b: string): boolean {
  return isCovered(a, b) || isCovered(b, a)
}

/** The names that match both patterns: the narrower one, or none. */
export function intersection(a: string, b: string): string[] {
  if (isCovered(b, a)) return [b]
  return isCovered(a, b) ? [a] : []
}
