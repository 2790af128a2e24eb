// Who takes part, each in a file of its own, in the order of the tables.
import type { Review } from '../payloads.ts'
import type { ServerProcess } from '../server-process.ts'
import { controllerRuntime } from './controller-runtime.ts'
import { fastify } from './fastify.ts'
import { nodeHttps } from './node-https.ts'
import { pepr } from './pepr.ts'
import { sidestep } from './sidestep.ts'

/** What a contestant has to work with. */
export interface Stage {
  /** Its own, gone after the run. */
  directory: string
  /** Free, on 127.0.0.1. */
  port: number
  certFile: string
  keyFile: string
  /** The PEM text of certFile. */
  certificate: string
  /** Something to answer, which shows that it serves. */
  probe: Review
}

export interface Contestant {
  name: string
  /** Whether it does sidestep's rewrite; the others allow everything as it is. */
  isRewriting: boolean
  /** Whether it is measured with the payloads that are not main ones. */
  isInAll: boolean
  /** Of what it stands for. */
  version(): Promise<string>
  start(stage: Stage): Promise<{ server: ServerProcess; stop(): Promise<void> }>
}

export const contestants: Contestant[] = [nodeHttps, fastify, controllerRuntime, pepr, sidestep]
