// The ceiling: what Node's own server makes of reviews that it only parses and allows.
import { join } from 'node:path'
import { ServerProcess } from '../server-process.ts'
import type { Contestant } from './index.ts'

export const nodeHttps: Contestant = {
  name: 'node',
  isRewriting: false,
  isInAll: false,
  version: async () => 'node:https',
  async start(stage) {
    const args = [join(import.meta.dirname, 'node-https.mjs'), String(stage.port), stage.certFile, stage.keyFile]
    const server = await ServerProcess.start('node', { command: process.execPath, args, path: '/mutate' }, stage)
    return { server, stop: () => server.stop() }
  },
}
