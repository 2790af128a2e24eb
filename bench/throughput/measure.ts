// One measurement: warm, saturated, and at half of that.

import { type Load, type LoadOptions, sendLoad } from './load.ts'
import type { ServerProcess } from './server-process.ts'

/** What an API server that has enough to do keeps open, and what it may open when answers are late. */
const connections = { saturated: 8, half: 32 }

export interface Measurement {
  saturated: Load
  /** At half of that rate; only for the main payloads. */
  half?: Load
  /** Of all cores and threads, for 1,000 reviews at saturation. */
  cpuMillisecondsPer1000: number
  rssMebibytes: number
}

export interface MeasureOptions extends Omit<LoadOptions, 'connections' | 'url'> {
  warmUpSeconds: number
  withLatencies: boolean
}

export async function measure(binary: string, server: ServerProcess, options: MeasureOptions): Promise<Measurement> {
  const { warmUpSeconds, withLatencies, ...load } = options
  const saturating = { ...load, url: server.url, connections: connections.saturated }
  await sendLoad(binary, { ...saturating, seconds: warmUpSeconds })
  const cpuBefore = await server.cpuMilliseconds()
  const saturated = await sendLoad(binary, saturating)
  const cpuMillisecondsPer1000 = ((await server.cpuMilliseconds()) - cpuBefore) / (saturated.reviews / 1000)
  const rate = saturated.perSecond / 2
  const half = withLatencies
    ? await sendLoad(binary, { ...saturating, connections: connections.half, rate })
    : undefined
  return { saturated, ...(half && { half }), cpuMillisecondsPer1000, rssMebibytes: await server.rssMebibytes() }
}
