// A replica in a process of its own, to be stopped, killed and deceived: `serve-process.ts OPTIONS`, which are JSON. It is
// `sidestep serve` with times that a test can wait for, and logs as that does.
import { pino } from 'pino'
import { serve, type TlsOptions } from '../../src/main.ts'
import type { ElectionTimes } from '../../src/reconciler/elector.ts'
import { profiles } from '../../src/translate/profiles.ts'

export interface ReplicaOptions {
  kubeconfig: string
  part?: 'admission' | 'reconciler'
  certificate: TlsOptions
  ports: { webhook: number; ops: number }
  times: ElectionTimes
  drainMilliseconds?: number
}

const {
  kubeconfig,
  part,
  certificate,
  ports,
  times,
  drainMilliseconds = 500,
} = JSON.parse(process.argv[2] ?? '') as ReplicaOptions
await serve({
  settings: profiles.kubeflow,
  source: { kubeconfig },
  tls: certificate,
  logger: pino(process.stderr),
  ...(part && { part }),
  lease: { namespace: 'sidestep-system', times },
  ports,
  host: '127.0.0.1',
  drainMilliseconds,
})
