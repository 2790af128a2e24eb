// Which virtual host a request gets (buildGatewayVirtualHostDomains, buildGatewayHTTPRouteConfig).
import t, { type Test } from 'tap'
import type { Listener } from './bootstrap.ts'
import { type Envoy, envoyTests, named, refusal, start, toApp, withRoutes } from './index.ts'

const test = await envoyTests(t)

/** A virtual host for each list of domains, whose route answers with that list. */
function withDomains(t: Test, domains: string[][], listener: Partial<Listener> = {}): Promise<Envoy> {
  return start(t, { virtualHosts: virtualHosts(domains), ...listener })
}

function virtualHosts(domains: string[][]): object[] {
  return domains.map(domains => {
    const name = domains.join(' ')
    return { name, domains, routes: [named(name, { prefix: '/' })] }
  })
}

async function hosts(envoy: Envoy, hosts: readonly string[]): Promise<Record<string, string | number>> {
  const outcomes: Record<string, string | number> = {}
  for (const host of hosts) outcomes[host] = await envoy.outcome({ host })
  return outcomes
}

test('the port of a request means nothing for its virtual host', async t => {
  const envoy = await withDomains(t, [['foo.com'], ['*.bar.com']])
  const expected = { 'foo.com': 'foo.com', 'foo.com:8080': 'foo.com', 'a.bar.com:1': '*.bar.com', 'baz.com': 404 }
  t.strictSame(await hosts(envoy, Object.keys(expected)), expected)
})

test('foo.com:* beside foo.com takes every port too', async t => {
  const envoy = await withDomains(t, [['foo.com', 'foo.com:*']], {
    routeConfiguration: { ignore_port_in_host_matching: false },
  })
  const expected = {
    'foo.com': 'foo.com foo.com:*',
    'foo.com:80': 'foo.com foo.com:*',
    'foo.com:8080': 'foo.com foo.com:*',
  }
  t.strictSame(await hosts(envoy, Object.keys(expected)), expected)
})

test('with ignore_port_in_host_matching a domain with a port never matches', async t => {
  const envoy = await withDomains(t, [['foo.com:8080']])
  t.strictSame(await hosts(envoy, ['foo.com', 'foo.com:8080']), { 'foo.com': 404, 'foo.com:8080': 404 })
})

test('*.foo.com takes any number of labels, and not foo.com itself', async t => {
  const envoy = await withDomains(t, [['*.foo.com']])
  const expected = {
    'a.foo.com': '*.foo.com',
    'a.b.foo.com': '*.foo.com',
    'foo.com': 404,
    'afoo.com': 404,
    '.foo.com': 404,
  }
  t.strictSame(await hosts(envoy, Object.keys(expected)), expected)
})

test('an exact domain wins over a suffix, the longer suffix over the shorter, and any over *', async t => {
  const envoy = await withDomains(t, [['*'], ['*.com'], ['*.foo.com'], ['*-b.foo.com'], ['a.foo.com']])
  const expected = {
    'a.foo.com': 'a.foo.com',
    'a-b.foo.com': '*-b.foo.com',
    'c.foo.com': '*.foo.com',
    'bar.com': '*.com',
    'bar.org': '*',
  }
  t.strictSame(await hosts(envoy, Object.keys(expected)), expected)
})

test('a virtual host without a fitting route answers 404 and never falls back to a wider one', async t => {
  const envoy = await start(t, {
    virtualHosts: [
      { name: 'narrow', domains: ['foo.com'], routes: [named('narrow', { prefix: '/narrow' })] },
      { name: 'suffix', domains: ['*.com'], routes: [named('suffix', { prefix: '/' })] },
      { name: 'all', domains: ['*'], routes: [named('all', { prefix: '/' })] },
    ],
  })
  t.equal(await envoy.outcome({ host: 'foo.com', path: '/narrow' }), 'narrow')
  t.equal(await envoy.outcome({ host: 'foo.com', path: '/' }), 404)
  t.equal(await envoy.outcome({ host: 'bar.com', path: '/' }), 'suffix')
})

test('a host has no case, neither in the route table nor in the request', async t => {
  const envoy = await withDomains(t, [['Foo.com'], ['*.BAR.com']])
  t.strictSame(await hosts(envoy, ['fOO.com', 'a.bar.COM']), { 'fOO.com': 'Foo.com', 'a.bar.COM': '*.BAR.com' })
})

test('a host arrives in the case and with the port that the client sent', async t => {
  const envoy = await withRoutes(t, [{ match: { prefix: '/' }, route: toApp() }])
  t.equal((await envoy.arrival({ host: 'Foo.com:8080' })).host, 'Foo.com:8080')
})

test('a domain that two virtual hosts name is refused', async t => {
  t.match(await refusal([], { virtualHosts: virtualHosts([['foo.com'], ['a.com', 'FOO.com']]) }), /unique|duplicate/i)
})

test('a host with a dot at its end is another host', async t => {
  const envoy = await withDomains(t, [['foo.com']])
  t.equal(await envoy.outcome({ host: 'foo.com.' }), 404)
})

test('an address is a host like any other, and loses its port', async t => {
  const envoy = await withDomains(t, [['192.0.2.1'], ['[2001:db8::1]']])
  const expected = { '192.0.2.1:8080': '192.0.2.1', '[2001:db8::1]:8080': '[2001:db8::1]' }
  t.strictSame(await hosts(envoy, Object.keys(expected)), expected)
})

test('a request with an empty host takes the virtual host of *', async t => {
  const envoy = await withDomains(t, [['*']])
  t.equal(await envoy.outcome({ host: '' }), '*')
})
