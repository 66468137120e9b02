import type { Result } from './load/start-load.ts'

/** Something that was done. `at` is a time of `performance.now()`. */
export interface Note {
  at: number
  what: string
}

/** One second of an attack. */
export interface Second {
  second: number
  sent: number
  ok: number
  failed: number
  wrong: number
  signedOut: number
  /** Latency of the requests that were scheduled in this second. */
  medianMs: number
  slowestMs: number
  done: string[]
  /** At most 20 requests that were not ok, such as `GET /api/orders: 503 DATABASE_UNAVAILABLE after 12 ms`. */
  notOk: string[]
}

/** What happened in each second since the first request or note. */
export function bySecond(results: readonly Result[], notes: readonly Note[]): Second[] {
  const beginning = Math.min(...results.map(({ intendedAt }) => intendedAt), ...notes.map(({ at }) => at))
  const secondOf = (at: number): number => Math.floor((at - beginning) / 1000)
  const sent = Map.groupBy(results, ({ intendedAt }) => secondOf(intendedAt))
  const done = Map.groupBy(notes, ({ at }) => secondOf(at))
  const last = Math.max(-1, ...sent.keys(), ...done.keys())

  return Array.from({ length: last + 1 }, (_, second) => {
    const group = sent.get(second) ?? []
    const count = (outcome: Result['outcome']): number =>
      group.filter((result) => result.outcome === outcome).length
    const waits = group.map(({ intendedAt, endedAt }) => endedAt - intendedAt).sort((a, b) => a - b)
    return {
      second,
      sent: group.length,
      ok: count('ok'),
      failed: count('failed'),
      wrong: count('wrong'),
      signedOut: count('signed out'),
      medianMs: Math.round(waits[Math.floor(waits.length / 2)] ?? 0),
      slowestMs: Math.round(waits.at(-1) ?? 0),
      done: (done.get(second) ?? []).map(({ what }) => what),
      notOk: group
        .filter(({ outcome }) => outcome !== 'ok')
        .slice(0, 20)
        .map(describe),
    }
  })
}

function describe({ method, path, answer, intendedAt, endedAt }: Result): string {
  return `${method} ${path}: ${answer} after ${Math.round(endedAt - intendedAt)} ms`
}
