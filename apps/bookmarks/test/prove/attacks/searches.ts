import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import { atLeast, atMost, none, told, type Attack } from '../../../../../infra/prove/attack.ts'
import { eachOf } from '../../../../../infra/prove/load/each-of.ts'
import { signUp, type Person } from '../../../../../infra/prove/load/person.ts'
import {
  failuresOf,
  percentile,
  standing,
  tellFailures,
  within,
} from '../../../../../infra/prove/load/standing.ts'

const AT_ONCE = 24
const BOOKMARKS = 600
const ATTACK_MS = 8000
/** The two cores are also busy with the searches that are not stopped yet. */
const P99_MS = 2000
/** At most 2 s each: the wait for a turn, the wait for the same user's search in another process, and the search itself. */
const STOPPED_WITHIN_MS = 7500

/** Postgres compares all of this at each character of the notes below, and never finds it. */
const SLOW_SEARCH = `/api/bookmarks?q=${'a'.repeat(199)}b`
const NOTES = 'a'.repeat(20_000)

/** A search reads all bookmarks of a user, so the user decides its cost. */
export const searches: Attack = {
  name: 'searches',
  does: 'one user runs 24 searches at once, each of which would take many seconds',
  claim: 'they are stopped or refused with a reason; no other user gets 503, and p99 stays below 2 s',
  needs: ['haproxy'],
  async run({ deployment, startLoad, note }) {
    const agent = new Agent({ connections: 2 * AT_ONCE })
    const caller = { url: deployment.url, dispatcher: agent }
    const person = await signUp(caller, `searcher-${process.pid}-${Date.now()}@prove.example`)
    await fill(person)
    const load = await startLoad()

    note('the searches begin')
    const from = performance.now()
    const answers: string[] = []
    let slowestMs = 0
    await eachOf(Array<void>(AT_ONCE).fill(), AT_ONCE, async () => {
      while (performance.now() < from + ATTACK_MS) {
        const askedAt = performance.now()
        const { status, text } = await person.ask({ method: 'GET', path: SLOW_SEARCH })
        slowestMs = Math.max(slowestMs, performance.now() - askedAt)
        answers.push(`${status} ${/"code":"(\w+)"/.exec(text)?.[1] ?? ''}`.trim())
        // A refused client tries again, but not as fast as a machine can.
        await sleep(100)
      }
    })
    const until = performance.now()
    note('the searches end')

    const results = await load.stop()
    await agent.destroy()
    const counts = [...Map.groupBy(answers, (answer) => answer)].map(
      ([answer, { length }]) => `${length} × ${answer}`,
    )
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests of others', failuresOf(results).length),
      atMost('p99 of others meanwhile, ms', percentile(within(results, from, until), 0.99), P99_MS),
      told('slow searches', counts.join(', ')),
      atMost('ms until the slowest of them was answered', Math.round(slowestMs), STOPPED_WITHIN_MS),
      atLeast('slow searches that were stopped', count(answers, '422 QUERY_TOO_SLOW'), 2),
      none(
        'slow searches that were answered otherwise than stopped or refused',
        answers.length - count(answers, '422 QUERY_TOO_SLOW') - count(answers, '429 QUERY_UNDER_WAY'),
      ),
    ]
  },
}

async function fill(person: Person): Promise<void> {
  await eachOf(
    Array.from({ length: BOOKMARKS }, (_, n) => n),
    8,
    async (n) => {
      const json = { url: `https://prove.example/${n}`, notes: NOTES }
      const { status, text } = await person.ask({ method: 'POST', path: '/api/bookmarks', json })
      if (status !== 201) throw new Error(`a bookmark was answered ${status} ${text}`)
    },
  )
}

function count(answers: readonly string[], answer: string): number {
  return answers.filter((other) => other === answer).length
}
