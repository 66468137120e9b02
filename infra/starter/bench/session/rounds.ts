import { medianOf } from '../figures.ts'
import type { Cost } from './measure.ts'

/** Medians of the rounds. */
export interface Figures extends Cost {
  /** CPU per request, divided by that of the reference in the same round: so drift of a shared machine does not count. */
  ratio: { median: number; min: number; max: number }
}

/** Plays every item once per round, and begins each round with another item. Round 0 is a warm-up and is not counted. */
export async function playRounds<T>(
  what: string,
  rounds: number,
  items: T[],
  play: (item: T, isCounted: boolean) => Promise<void>,
): Promise<void> {
  for (let round = 0; round <= rounds; round += 1) {
    process.stderr.write(`${what}: ${round === 0 ? 'warm-up' : `round ${round} of ${rounds}`}\n`)
    const start = round % items.length
    for (const item of [...items.slice(start), ...items.slice(0, start)]) await play(item, round > 0)
  }
}

export function summarise(costs: Cost[], compared: Cost[]): Figures {
  const ratios = costs.map(({ cpuUs }, round) => cpuUs / compared[round]!.cpuUs)
  return {
    cpuUs: Math.round(medianOf(costs.map(({ cpuUs }) => cpuUs))),
    perSecond: Math.round(medianOf(costs.map(({ perSecond }) => perSecond))),
    ratio: { median: medianOf(ratios), min: Math.min(...ratios), max: Math.max(...ratios) },
  }
}
