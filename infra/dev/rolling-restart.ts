import type { SupervisedProcess } from './supervised-process.ts'
import type { Printer } from './print.ts'

/** How many processes start at the same time. On two cores, more would only delay the first one. */
const AT_ONCE = 2

/** The places of one process type. */
export interface Crew {
  readonly places: readonly SupervisedProcess[]
}

/** Restarts places, never two of one process type at the same time, so that the others still answer. */
export interface RollingRestart {
  /** Adds places to the queue. A place that is starting at this moment is restarted once more. */
  restart(places: readonly SupervisedProcess[], why: string): void
}

/** @param crews in the order in which they are restarted. In all crews, places that do not run come first */
export function createRollingRestart(crews: () => readonly Crew[], print: Printer): RollingRestart {
  const waiting = new Set<SupervisedProcess>()
  const busy = new Set<Crew>()
  let reason = ''
  let startedAt = 0
  let done: string[] = []

  function restart(places: readonly SupervisedProcess[], why: string): void {
    if (places.length === 0) return
    for (const place of places) waiting.add(place)
    if (busy.size === 0) done = []
    reason = why
    startedAt = performance.now()
    takeTurns()
  }

  function takeTurns(): void {
    while (busy.size < AT_ONCE) {
      const turn = nextTurn()
      if (!turn) break
      const { crew, place } = turn
      busy.add(crew)
      waiting.delete(place)
      void replace(crew, place).then(() => {
        busy.delete(crew)
        takeTurns()
      })
    }
    if (busy.size > 0 || done.length === 0) return
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
    print.say(`${reason}: restarted ${done.sort().join(', ')} in ${seconds} s`)
    done = []
  }

  /** The first place of every crew comes before the second of any, so that each type answers with the new code soon. */
  function nextTurn(): { crew: Crew; place: SupervisedProcess } | undefined {
    return crews()
      .filter((crew) => !busy.has(crew))
      .flatMap((crew) => crew.places.map((place, i) => ({ crew, place, turn: place.pid ? i + 1 : 0 })))
      .filter(({ place }) => waiting.has(place))
      .sort((a, b) => a.turn - b.turn)[0]
  }

  async function replace(crew: Crew, place: SupervisedProcess): Promise<void> {
    const problem = await place.start()
    if (!problem) {
      done.push(`${place.name} (pid ${place.pid})`)
      return
    }
    // The other places would fail as well, until the next edit.
    for (const other of crew.places) waiting.delete(other)
    const names = crew.places.filter(({ pid }) => pid !== undefined).map(({ name }) => name)
    const rest = names.length > 0 ? ` Until then ${names.join(' and ')} run the code from before.` : ''
    print.warn(`${place.name}: ${problem}${rest}`)
  }

  return { restart }
}
