// The tables: what was measured, as medians of the rounds, and the ratios beside the goals.
import type { Measurement } from './measure.ts'
import type { Payload } from './payloads.ts'

/** The rounds of one contestant with one payload, in the order in which they took turns with the others. */
export interface Result {
  payload: Payload
  contestant: string
  rounds: Measurement[]
}

/** What is wanted of a payload's ratio: sidestep's reviews a second to those of the other. */
const goals: { of: string; to: string; payload: string; atLeast: number }[] = [
  ...['', '-new'].flatMap(suffix => [
    { of: 'sidestep', to: 'fastify', payload: `virtual-service-no-op${suffix}`, atLeast: 0.75 },
    { of: 'sidestep', to: 'fastify', payload: `virtual-service-rewriting${suffix}`, atLeast: 0.65 },
  ]),
  ...['no-op', 'rewriting', 'no-op-new', 'rewriting-new', 'mix']
    .map(name => `virtual-service-${name}`)
    .flatMap(payload => [
      { of: 'sidestep', to: 'controller-runtime', payload, atLeast: 1 },
      { of: 'sidestep', to: 'pepr', payload, atLeast: 3 },
    ]),
]
const pairs = [
  ['sidestep', 'fastify'],
  ['sidestep', 'controller-runtime'],
  ['sidestep', 'pepr'],
  ['fastify', 'node'],
] as const
/** Of the 99th to the 50th percentile, at half of saturation. */
const tailGoal = 2

export function report(results: Result[], footnotes: readonly string[]): string {
  const parts = [figures(results), ratios(results), tails(results), footnotes.join(', ')]
  return `${parts.join('\n\n')}\n`
}

function figures(results: Result[]): string {
  const head = ['', '', 'reviews/s', 'spread', 'p50 ms', 'p99 ms', 'CPU ms/1,000', 'RSS MiB', 'shed']
  const rows = results.map(({ payload, contestant, rounds }) => {
    const perSecond = rounds.map(({ saturated }) => saturated.perSecond)
    const half = rounds.flatMap(({ half }) => half?.latency ?? [])
    const latency = (values: number[]) => (values.length > 0 ? median(values).toFixed(2) : '')
    return [
      payload.title,
      contestant,
      median(perSecond).toFixed(0),
      spread(perSecond, 0),
      latency(half.map(({ p50 }) => p50)),
      latency(half.map(({ p99 }) => p99)),
      median(rounds.map(({ cpuMillisecondsPer1000 }) => cpuMillisecondsPer1000)).toFixed(0),
      // It grows, and what it has come to is what has to be there.
      Math.max(...rounds.map(({ rssMebibytes }) => rssMebibytes)).toFixed(0),
      String(shedIn(rounds) || ''),
    ]
  })
  return table(head, rows)
}

/**
 * Of the rounds, each with what came next to it in time: a machine that is busy for a while slows down both. By CPU is what
 * it would be if nobody else had had the core: reviews for each second of CPU time instead of each second.
 */
function ratios(results: Result[]): string {
  const payloads = [...new Set(results.map(({ payload }) => payload))]
  const rows = pairs.flatMap(([of, to]) =>
    payloads.flatMap(payload => {
      const [ours, theirs] = [of, to].map(name => results.find(r => r.payload === payload && r.contestant === name))
      if (!ours || !theirs) return []
      const rounds = ours.rounds.flatMap((our, i) => {
        const their = theirs.rounds[i]
        return their ? [{ our, their }] : []
      })
      const ratios = rounds.map(({ our, their }) => our.saturated.perSecond / their.saturated.perSecond)
      const byCpu = rounds.map(({ our, their }) => their.cpuMillisecondsPer1000 / our.cpuMillisecondsPer1000)
      const goal = goals.find(goal => goal.of === of && goal.to === to && goal.payload === payload.name)?.atLeast
      const isMet = goal !== undefined && median(ratios) >= goal && shedIn(ours.rounds) === 0
      const verdict = goal === undefined ? ['', ''] : [`>= ${goal.toFixed(2)}`, isMet ? 'met' : 'missed']
      const figures = [median(ratios).toFixed(2), spread(ratios, 2), median(byCpu).toFixed(2)]
      return [[`${of} / ${to}`, payload.title, ...figures, ...verdict]]
    }),
  )
  return table(['reviews/s', '', 'ratio', 'spread', 'by CPU', 'goal', ''], rows)
}

function tails(results: Result[]): string {
  const rows = results.flatMap(({ payload, contestant, rounds }) => {
    const each = rounds.flatMap(({ half }) => (half ? [half.latency.p99 / half.latency.p50] : []))
    if (each.length === 0) return []
    const isMet = median(each) <= tailGoal && shedIn(rounds) === 0
    const verdict = contestant === 'sidestep' ? [`<= ${tailGoal.toFixed(2)}`, isMet ? 'met' : 'missed'] : ['', '']
    return [[`p99 / p50 of ${contestant}`, payload.title, median(each).toFixed(2), spread(each, 2), ...verdict]]
  })
  return table(['at half of saturation', '', 'ratio', 'spread', 'goal', ''], rows)
}

/** Who refuses reviews is quick with the others, so no goal is met in that way. */
function shedIn(rounds: Measurement[]): number {
  return rounds.reduce((sum, { saturated, half }) => sum + saturated.shed + (half?.shed ?? 0), 0)
}

function table(head: string[], rows: string[][]): string {
  const widths = head.map((title, i) => Math.max(title.length, 3, ...rows.map(row => row[i]?.length ?? 0)))
  const line = (cells: string[]) => `| ${cells.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(' | ')} |`
  return [head, widths.map(width => '-'.repeat(width)), ...rows].map(line).join('\n')
}

function spread(values: number[], digits: number): string {
  return `${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)}`
}

export function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = Math.floor(sorted.length / 2)
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
}
