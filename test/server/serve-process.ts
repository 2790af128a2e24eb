// A process of its own for tests of signals: `node --import=tsx test/server/serve-process.ts <drain> <close>`.
// It prints its addresses as one line of JSON.
import { pino } from 'pino'
import { serve } from '../../src/main.ts'
import { profiles } from '../../src/translate/profiles.ts'
import { snapshotOf } from '../../src/translate/snapshot.ts'

const [drainMilliseconds, closeMilliseconds] = process.argv.slice(2).map(Number)
const { webhook, ops, ca } = await serve({
  settings: profiles.generic,
  source: { snapshot: snapshotOf([]) },
  tls: { names: ['127.0.0.1'] },
  logger: pino({ level: 'silent' }),
  host: '127.0.0.1',
  ports: { webhook: 0, ops: 0 },
  drainMilliseconds: drainMilliseconds ?? 0,
  closeMilliseconds: closeMilliseconds ?? 5000,
})
console.log(JSON.stringify({ webhook: webhook?.port, ops: ops.port, ca }))
