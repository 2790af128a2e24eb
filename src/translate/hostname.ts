// Host names and wildcards, as Istio and Gateway API both read them.

const label = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/

/** A DNS name in lower case: no wildcard, no port, no IP address. */
export function isHostname(host: string): boolean {
  if (host.length > 253 || /^[0-9.]+$/.test(host)) return false
  return host.split('.').every(part => part.length <= 63 && label.test(part))
}

/** Whether some host matches both patterns: `*`, `*.name` or a name. */
export function overlaps(a: string, b: string): boolean {
  return covers(a, b) || covers(b, a)
}

function covers(pattern: string, host: string): boolean {
  if (pattern === '*' || pattern === host) return true
  return pattern.startsWith('*.') && host.endsWith(pattern.slice(1)) && host !== pattern.slice(2)
}
