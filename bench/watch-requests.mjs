// Loaded into `sidestep serve` by serve.ts, before anything else: notes each request that the process makes, and
// tells whoever started it when asked. Plain JavaScript, so that nothing else has to be loaded into what is measured.
import { subscribe } from 'node:diagnostics_channel'
import { monitorEventLoopDelay } from 'node:perf_hooks'

/** `PATCH /path` -> how often. */
const requests = new Map()
const delay = monitorEventLoopDelay({ resolution: 5 })
let refusals = 0
let untimely = 0
let closedUntil = 0

subscribe('http.client.request.start', ({ request }) => {
  const { method, path } = request
  const [plain, query = ''] = path.split('?')
  const verb = method !== 'GET' ? method : query.includes('watch=') ? 'WATCH' : 'GET'
  const key = `${verb} ${plain}`
  requests.set(key, (requests.get(key) ?? 0) + 1)
  if (performance.now() < closedUntil) untimely++
})

subscribe('http.client.response.finish', ({ response }) => {
  if (response.statusCode !== 429) return
  refusals++
  closedUntil = Math.max(closedUntil, performance.now() + Number(response.headers['retry-after'] ?? 0) * 1000)
})

delay.enable()
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send({
    requests: [...requests],
    refusals,
    untimely,
    cpuSeconds: (user + system) / 1e6,
    delay: { p99: delay.percentile(99) / 1e6, longest: delay.max / 1e6 },
  })
})
// A listener would keep the process from its end.
process.channel?.unref()
