// A candidate in a process of its own, to be killed: `elector-process.ts KUBECONFIG IDENTITY LEASE RENEW RETRY`. Says
// `leads` when it does.
import { pino } from 'pino'
import { connect } from '../../src/reconciler/api-server.ts'
import { elect } from '../../src/reconciler/elector.ts'

const [kubeconfig = '', identity = '', ...times] = process.argv.slice(2)
const [lease = 0, renew = 0, retry = 0] = times.map(Number)
const lead = async (signal: AbortSignal) => {
  console.log('leads')
  await new Promise(resolve => signal.addEventListener('abort', resolve))
}
await elect(
  connect(kubeconfig),
  {
    namespace: 'sidestep',
    name: 'reconciler',
    identity,
    times: { lease, renew, retry },
    logger: pino({ level: 'silent' }),
  },
  lead,
  new AbortController().signal,
)
