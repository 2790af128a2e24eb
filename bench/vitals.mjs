// Loaded into `sidestep serve` by serve.ts, before anything else: tells how much it holds when asked. Plain JavaScript, so
// that nothing else has to be loaded into what is measured.
import { subscribe } from 'node:diagnostics_channel'
import { openSync } from 'node:fs'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

process.on('message', question => {
  if (question === 'collect') collect()
  const { heapUsed, external } = process.memoryUsage()
  process.send({ heap: heapUsed + external, handles: process.getActiveResourcesInfo().length })
})
// A listener would keep the process from its end.
process.channel?.unref()

function collect() {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

// What a leak would look like, so that it can be seen that it would be seen.
const { LEAK } = process.env
const leaked = []
let requests = 0
if (LEAK)
  subscribe('http.server.request.start', () => {
    // 16 bytes and 8 for each element.
    if (LEAK === 'memory') leaked.push(new Array(10).fill(requests))
    if (LEAK === 'files' && requests % 1000 === 0) leaked.push(openSync('/dev/null'))
    requests++
  })
