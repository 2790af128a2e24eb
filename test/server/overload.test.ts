// More than can be done in time or held: HTTP 503, never `allowed: false`, and nothing is judged for nobody.
import { once } from 'node:events'
import t from 'tap'
import { create, review, translateWidget, widget } from './reviews.ts'
import { listen, request } from './wire.ts'

const small = JSON.stringify(review(create(widget({ deny: ['VS-A'] }))))

t.test('what has waited behind others for longer than its timeout is not judged', async t => {
  const judged: string[] = []
  const { open, scrape, lines } = await listen(t, {
    translate: object => {
      judged.push(object.metadata.name ?? '')
      const end = performance.now() + (object.metadata.name === 'slow' ? 300 : 0)
      while (performance.now() < end);
      return translateWidget(object)
    },
  })
  const named = (name: string) => JSON.stringify(review(create(widget({ deny: ['VS-A'] }, { name }))))
  const [first, second, third] = [await open(), await open(), await open()]
  // All of them lie in their sockets when the server comes to look: it is this process, which writes here and now.
  first.send(request(named('slow'), '/validate?timeout=10s'))
  second.send(request(named('late'), '/validate?timeout=0.1s'))
  third.send(request(named('patient'), '/validate?timeout=10s'))
  const late = await second.answer()
  t.equal((await first.answer()).status, 200)
  t.match(JSON.parse((await third.answer()).body), { response: { allowed: false } })
  t.equal(late.status, 503)
  t.match(late.body, /^The time that the API server gave was over before sidestep could begin/)
  t.notMatch(late.body, 'allowed')
  t.strictSame(judged, ['slow', 'patient'])
  t.match(await scrape(), 'sidestep_shed_calls_total{reason="late"} 1')
  t.match(lines, [{}, { level: 40, webhook: 'validate', status: 503, msg: /was over/ }, {}])
})

t.test('nor is one whose body came too late', async t => {
  const { open, scrape } = await listen(t)
  const connection = await open()
  const bytes = request(small, '/validate?timeout=1s')
  connection.send(bytes.subarray(0, bytes.length - 1))
  await new Promise(resolve => setTimeout(resolve, 1100))
  connection.send(bytes.subarray(bytes.length - 1))
  t.equal((await connection.answer()).status, 503)
  connection.send(request(small, '/validate?timeout=1s'))
  t.equal((await connection.answer()).status, 200, 'the next one on this connection has its own time')
  t.match(await scrape(), 'sidestep_shed_calls_total{reason="late"} 1')
})

t.test('a timeout that cannot be understood is none', async t => {
  const { post } = await listen(t)
  for (const timeout of ['0s', '-1s', '1', 'NaNs', '1e-9s', '0x1s', '', '1s&timeout=2s', '%00', '9'.repeat(400)])
    t.equal((await post(small, `/validate?timeout=${timeout}`)).status, 200, timeout)
})

t.test('bodies that do not come are given up, the oldest first, and whoever comes is answered', async t => {
  const { open, post, scrape, lines } = await listen(t, { limits: { heldBytes: 10 * 64 * 1024 } })
  const slow = []
  const bytes = request(small, '/validate')
  for (let i = 0; i < 15; i++) {
    const connection = await open()
    connection.send(bytes.subarray(0, bytes.length - 10))
    slow.push(connection)
  }
  t.match(JSON.parse((await post(small, '/validate')).body), { response: { allowed: false } }, 'meanwhile')
  const [oldest] = slow
  const answer = await oldest?.answer()
  t.equal(answer?.status, 503)
  t.match(answer?.headers, /\r\nretry-after: 1\r\n/)
  t.match(answer?.headers, /\r\nconnection: close\r\n/)
  t.match(answer?.body, /^sidestep has more calls under way than it can hold/)
  await oldest?.closed()
  const youngest = slow.at(-1)
  youngest?.send(bytes.subarray(bytes.length - 10))
  t.equal((await youngest?.answer())?.status, 200, 'the youngest may still come')
  const shed = Number(/sidestep_shed_calls_total\{reason="crowded"\} (\d+)/.exec(await scrape())?.[1])
  t.ok(shed >= 6 && shed <= 8, `${shed} given up`)
  t.notMatch(lines, [{ level: 50 }], 'which is no fault')
  t.equal(lines.filter(({ status }) => status === 503).length, shed, 'a line for each')
  t.equal(lines.length, shed + 2, 'and no other, but for the two that were answered')
})

t.test('so are large ones, by what has come of them', async t => {
  const { open, post, scrape } = await listen(t, { limits: { heldBytes: 8 * 1024 * 1024 } })
  const half = Buffer.alloc(3.4 * 1024 * 1024, 32)
  const slow = []
  for (let i = 0; i < 4; i++) {
    const connection = await open()
    connection.send(request('', '/validate', { 'content-length': `${half.length * 2}` }))
    connection.socket.write(half)
    await Promise.race([once(connection.socket, 'drain'), connection.closed()])
    slow.push(connection)
  }
  t.equal((await post(small, '/validate')).status, 200)
  const [oldest] = slow
  t.equal((await oldest?.answer())?.status, 503)
  t.match(await scrape(), /sidestep_shed_calls_total\{reason="crowded"\} [12]\n/)
})

t.test('what was answered takes no room any more', async t => {
  const { open, scrape } = await listen(t, { limits: { heldBytes: 2 * 64 * 1024 } })
  const connection = await open()
  for (let i = 0; i < 50; i++) {
    connection.send(request(small, '/validate'))
    t.equal((await connection.answer()).status, 200)
  }
  t.match(await scrape(), 'sidestep_shed_calls_total{reason="crowded"} 0')
  t.match(await scrape(), 'sidestep_admissions_in_flight 0')
})
