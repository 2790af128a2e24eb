// What explain-policy says to a person: head, who enforces what, the steps, what stands beside, the findings.
import type { Enforcement, ExplainedStep, PolicyExplanation } from '../translate/explain-policy/index.ts'
import { inert } from './print.ts'

const width = 120

/** The explanation in lines of at most 120 characters, unless a name alone is longer. */
export function toText(explanation: PolicyExplanation, isColoured: boolean): string {
  const { enforcement, companions, diagnostics, waiting } = explanation
  const paint: Paint = (colour, text) => (isColoured && colour ? `\u001b[${colours[colour]}m${text}\u001b[0m` : text)
  // What is kept is a section of its own.
  const findings = diagnostics.filter(({ code }) => !code.endsWith('-COMPANION-KEPT'))
  const sections = [
    head(explanation),
    ...enforcementSections(enforcement),
    section(stepsTitle(explanation), stepLines(explanation.steps, paint)),
    section(
      'Waiting for it:',
      waiting.map(each => wrap('  ', each)),
    ),
    section(
      'Kept beside it:',
      companions.map(({ policy, purpose, state }) =>
        wrap('  ', `${policy}${state === 'in place' ? '' : ` (${state})`}: ${purpose}`),
      ),
    ),
    section(
      'Findings:',
      findings.map(({ code, severity, field, message }) => {
        const text = wrap(`  ${severity.padEnd(8)}`, `${code} ${field}: ${message}`)
        return text.replace(severity, paint(severity, severity))
      }),
    ),
  ]
  return `${sections.filter(Boolean).join('\n\n')}\n`
}

const colours = { done: 32, next: 33, denial: 31, warning: 33, note: 36 } as const
type Paint = (colour: keyof typeof colours | undefined, text: string) => string

function head({ kind, namespace, name, action, isDryRun, appliesTo, outcome, why, mode }: PolicyExplanation): string {
  const verb = isDryRun ? `${action} that is only tried out` : action
  const what = `${verb ? `${verb} ` : 'tokens '}for ${appliesTo}`
  const observed = mode === 'observe' ? ['The mode is observe: sidestep warns and does none of this.'] : []
  const reason = outcome === 'denied' ? ['Denied: nothing is made of it.'] : why ? [`Left as it is: ${why}.`] : []
  return [`${kind} ${namespace}/${name}`, what, ...reason, ...observed].map(text => wrap('', text)).join('\n')
}

function enforcementSections({ now, end }: PolicyExplanation['enforcement']): string[] {
  const [today, then] = [now, end].map(shares => shares.map(shareLine))
  if (!today || !then || today.join() === then.join()) return [section('Enforced:', then ?? [])]
  const nobody = wrap(`  ${'nobody'.padEnd(10)}`, 'nothing enforces it')
  return [
    section('Enforced now:', today.length > 0 ? today : [nobody]),
    section('Enforced when every step is done:', then),
  ]
}

function shareLine({ by, where, does, policies }: Enforcement): string {
  const places = where.length > 3 ? `${where.slice(0, 3).join(', ')} and ${where.length - 3} more` : where.join(', ')
  const names = policies.length > 3 ? `${policies.length} policies` : policies.join(', ')
  return wrap(`  ${by.padEnd(10)}`, `${places}: ${does} (${names})`)
}

function stepsTitle({ statuses }: PolicyExplanation): string {
  return statuses === 'observed'
    ? 'Steps:'
    : 'Steps, taken for done as far as sidestep does them (--as-is reads the status in files):'
}

const words: Record<ExplainedStep['state'], string> = { done: 'done', next: 'NEXT', later: '', unreported: '?' }

function stepLines(steps: ExplainedStep[], paint: Paint): string[] {
  return steps.map(({ what, state, missing }, i) => {
    const word = words[state].padEnd(5)
    // What a later step waits for is the next one first of all.
    const why = state === 'later' || (state === 'next' && !missing) ? undefined : missing
    const rest =
      state === 'next' && !missing
        ? ': nothing is in its way'
        : why
          ? `: ${state === 'next' ? 'waits for ' : ''}${why}`
          : ''
    const colour = state === 'done' || state === 'next' ? state : undefined
    return wrap(`  ${word}${String(i + 1).padStart(2)}  `, what + rest).replace(word, paint(colour, word))
  })
}

function section(title: string, lines: string[]): string {
  return lines.length > 0 ? [title, ...lines].join('\n') : ''
}

/** Text behind a margin, in lines that are indented like the first. */
function wrap(margin: string, text: string): string {
  const lines: string[] = []
  let line = ''
  for (const word of inert(text).split(' ')) {
    if (line && margin.length + line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else line = line ? `${line} ${word}` : word
  }
  return [...lines, line].map((each, i) => (i === 0 ? margin : ' '.repeat(margin.length)) + each).join('\n')
}
