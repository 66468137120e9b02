import { candidates, playAll, type Verdict } from './play.ts'

export interface CandidateResult {
  name: string
  verdicts: Verdict[]
}

/** Plays every behaviour on every candidate: who keeps what, and in the words of the behaviour why not. */
export async function compareBehaviours(): Promise<CandidateResult[]> {
  // What a broken server does to a request that nobody waits for any more is not news.
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
