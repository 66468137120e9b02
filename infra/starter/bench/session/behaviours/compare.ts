import { candidates, playAll, type Verdict } from './play.ts'

export interface CandidateResult {
  name: string
  verdicts: Verdict[]
}

/** Runs every behaviour on every candidate. A verdict is yes, or no with the message of the behaviour. */
export async function compareBehaviours(): Promise<CandidateResult[]> {
  // Ignores failures of requests whose result is no longer needed.
  process.on('unhandledRejection', () => {})
  const results: CandidateResult[] = []
  for (const candidate of candidates) {
    console.error(candidate.name)
    const verdicts = await playAll(candidate, ({ number, claim, answer, failure }) => {
      console.error(`  ${answer.padEnd(3)} ${number}. ${claim}${failure ? `: ${failure}` : ''}`)
    })
    results.push({ name: candidate.name, verdicts })
  }
  return results
}

export function tableOfBehaviours(results: CandidateResult[]): string[] {
  const kept = results.map(({ verdicts }) => verdicts.filter(({ answer }) => answer === 'yes').length)
  return [
    `| | ${results.map(({ name }) => name).join(' | ')} |`,
    `|---|${results.map(() => '---').join('|')}|`,
    ...results[0]!.verdicts.map(({ number, claim }, row) => {
      const answers = results.map(({ verdicts }) => verdicts[row]!.answer)
      return `| ${number}. ${claim} | ${answers.join(' | ')} |`
    }),
    `| **kept** | ${kept.map((count) => `**${count}**`).join(' | ')} |`,
  ]
}
