// The flags of `npm run bench`.
import { parseArgs } from 'node:util'
import { type Contestant, contestants } from './contestants/index.ts'
import { type Payload, payloads } from './payloads.ts'

export interface Options {
  contestants: Contestant[]
  payloads: Payload[]
  /** Of each measurement at saturation, and of each at half of that. */
  seconds: number
  rounds: number
  /** Where all raw figures go. */
  json?: string
  /** Whether every contestant named is measured with every payload named. */
  isChosen: boolean
}

export function readOptions(args: readonly string[]): Options {
  const { values } = parseArgs({
    args: [...args],
    options: {
      contestants: { type: 'string' },
      payloads: { type: 'string' },
      seconds: { type: 'string', default: '2' },
      rounds: { type: 'string', default: '3' },
      json: { type: 'string' },
    },
  })
  return {
    contestants: choose(contestants, values.contestants),
    payloads: choose(payloads, values.payloads),
    seconds: positive('seconds', values.seconds),
    rounds: positive('rounds', values.rounds),
    ...(values.json !== undefined && { json: values.json }),
    isChosen: values.contestants !== undefined || values.payloads !== undefined,
  }
}

function choose<T extends { name: string }>(all: T[], names: string | undefined): T[] {
  if (names === undefined) return all
  return names.split(',').map(name => {
    const found = all.find(one => one.name === name)
    if (!found) throw new Error(`there is no ${name}; there are ${all.map(one => one.name).join(', ')}`)
    return found
  })
}

function positive(flag: string, text: string): number {
  const number = Number(text)
  if (!(number > 0)) throw new Error(`--${flag} has to be a number above 0, not ${text}`)
  return number
}
