import { medianOf } from '../figures.ts'
import type { Cost } from './measure.ts'

/** Medians of the rounds. */
export interface Figures extends Cost {
  /** CPU per request over that of what it is compared with, paired within a round: a shared machine drifts, this does not. */
  ratio: { median: number; min: number; max: number }
}

/** Does everything once a round, in turn, each time beginning with another one. The first round warms up and counts for nothing. */
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
