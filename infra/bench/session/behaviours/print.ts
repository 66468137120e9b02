import { candidates, playAll, type Verdict } from './play.ts'

/** Plays every behaviour on every candidate and prints who keeps what, and in the words of the behaviour why not. */
export async function printBehaviours({ json }: { json: boolean }): Promise<void> {
  // What a broken server does to a request that nobody waits for any more is not news.
  process.on('unhandledRejection', () => {})
  const results: { name: string; verdicts: Verdict[] }[] = []
  for (const candidate of candidates) {
    console.error(candidate.name)
    const verdicts = await playAll(candidate, ({ number, claim, failure }) => {
      console.error(
        `  ${failure === undefined ? 'yes' : 'no '} ${number}. ${claim}${failure ? `: ${failure}` : ''}`,
      )
    })
    results.push({ name: candidate.name, verdicts })
  }

  console.log(`| behaviour | ${results.map(({ name }) => name).join(' | ')} |`)
  console.log(`|---|${results.map(() => '---').join('|')}|`)
  for (const [row, { number, claim }] of results[0]!.verdicts.entries()) {
    const cells = results.map(({ verdicts }) => (verdicts[row]!.failure === undefined ? 'yes' : 'no'))
    console.log(`| ${number}. ${claim} | ${cells.join(' | ')} |`)
  }
  const kept = results.map(({ verdicts }) => verdicts.filter(({ failure }) => failure === undefined).length)
  console.log(`| **kept** | ${kept.map((count) => `**${count}**`).join(' | ')} |`)
  if (json) console.log(JSON.stringify({ behaviours: results }))
}
