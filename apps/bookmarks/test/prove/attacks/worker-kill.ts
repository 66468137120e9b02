import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { Agent } from 'undici'
import { atLeast, atMost, none, told, type Attack } from '../../../../../infra/prove/attack.ts'
import { eachOf } from '../../../../../infra/prove/load/each-of.ts'
import { serveBookmarkFiles } from '../bookmark-files.ts'
import { signUp, type Person } from '../../../../../infra/prove/load/person.ts'

/** Enough links for an import to take a second or two, so that a kill meets it in the middle. */
const LINKS = 15_000
const IMPORTS = '/api/bookmarks/imports/'
const PEOPLE = 16
/** A restarted worker must begin to work before it is killed again. */
const EVERY_MS = 2500

/** The promise of the queue: a killed worker holds its jobs no longer than this. */
const LEASE_MS = 15_000
/** For the work itself, and for a busy machine. */
const WORK_MS = 10_000

interface Job {
  person: Person
  name: string
  links: number
  /** The path of its status; undefined when it was not accepted. */
  location?: string
  /** The last status that was read. */
  status?: { status: string; total: number; imported: number; skipped: number }
}

/** Each job imports a bookmark file, most of them with one link. Its effect is its links, each counted once. */
export const workerKill: Attack = {
  name: 'worker-kill',
  does: '`kill -9` of a worker every 2.5 s while jobs and long imports run',
  claim: 'each job takes effect exactly once; none is lost; none is stuck for longer than its lease (15 s)',
  isQuick: true,
  needs: ['haproxy'],
  async run({ deployment, random, scale, note }) {
    const agent = new Agent({ connections: 64 })
    const caller = { url: deployment.url, dispatcher: agent }
    // Jobs of one user wait for each other, also for a job whose worker was killed.
    const people: Person[] = []
    while (people.length < PEOPLE) {
      people.push(
        await signUp(caller, `importer-${people.length}-${process.pid}-${Date.now()}@prove.example`),
      )
    }
    await using files = await serveBookmarkFiles(scale(200, 20))
    const run = Date.now().toString(36)
    const jobs: Job[] = [
      ...list(scale(2, 20), (n) => ({ name: `${run}-import-${n}`, links: LINKS })),
      ...list(scale(80, 5000), (n) => ({ name: `${run}-job-${n}`, links: 1 })),
    ].map((job, n) => ({ ...job, person: people[n % PEOPLE]! }))

    let kills = 0
    const enough = new AbortController()
    const killing = (async () => {
      while (!enough.signal.aborted) {
        await sleep(EVERY_MS)
        // Not any worker: those of other apps have none of these jobs.
        const workers = deployment.inhabited().filter(({ type }) => type.name === 'bookmarks-worker')
        const victim = random.pick(workers)
        if (!victim) continue
        note(`kill ${victim.name}`)
        kills++
        await victim.kill()
        void victim.start().catch(() => {})
      }
    })()

    // A user with unfinished jobs gets 429 and tries again. Lost jobs stay unfinished for ever, so `isStuck` ends the wait.
    let lastAcceptedAt = performance.now()
    const isStuck = (): boolean => performance.now() - lastAcceptedAt > LEASE_MS + WORK_MS
    await eachOf(jobs, 8, async (job) => {
      const json = { url: files.urlOf(job.name, job.links) }
      let answer = await job.person.ask({ method: 'POST', path: IMPORTS, json })
      while (answer.status === 429 && !isStuck()) {
        await sleep(200)
        answer = await job.person.ask({ method: 'POST', path: IMPORTS, json })
      }
      if (answer.status !== 202) return
      job.location = String(answer.headers.location)
      lastAcceptedAt = performance.now()
    })
    const accepted = jobs.filter(({ location }) => location !== undefined)
    note(`${accepted.length} jobs are accepted`)

    // The kills stop before the end: the jobs of the last killed workers must become free by themselves.
    await askUntilEnded(accepted, 0.7)
    await pollUntil('enough workers were killed', () => kills >= scale(3, 20), { deadlineMs: 60_000 })
    enough.abort()
    await killing
    note('the last worker was killed')
    const longestPauseMs = await askUntilEnded(accepted, 1)

    const unfinished = accepted.filter((job) => !hasEnded(job))
    const miscounted = accepted.filter(
      ({ status, links }) =>
        status && (status.total !== links || status.imported !== links || status.skipped > 0),
    )
    let stored = 0
    for (const person of people) stored += await countLinks(person, run)
    await agent.destroy()
    return [
      atLeast('workers killed', kills, scale(3, 20)),
      told('jobs, of which are long imports', `${jobs.length}, ${scale(2, 20)}`),
      none('jobs not accepted', jobs.length - accepted.length),
      atLeast('jobs begun more than once', [...files.asked.values()].filter((times) => times > 1).length, 1),
      none('jobs lost or stuck', unfinished.length),
      none('jobs that failed', accepted.filter(({ status }) => status?.status === 'failed').length),
      none('jobs whose effect was counted more or less than once', miscounted.length),
      none(
        'links missing or too many',
        Math.abs(stored - accepted.reduce((sum, { links }) => sum + links, 0)),
      ),
      atMost('ms after the last kill in which no job ended', longestPauseMs, LEASE_MS + WORK_MS),
    ]
  },
}

function list<T>(length: number, make: (n: number) => T): T[] {
  return Array.from({ length }, (_, i) => make(i + 1))
}

function hasEnded({ status }: Job): boolean {
  return status?.status === 'done' || status?.status === 'failed'
}

/**
 * Polls the oldest unfinished jobs until `share` of all have ended, or no job has ended for longer than a lease and its work
 * take. Resolves to the longest time in which no job ended, in ms.
 */
async function askUntilEnded(jobs: readonly Job[], share: number): Promise<number> {
  let left = jobs.filter((job) => !hasEnded(job))
  let lastEndAt = performance.now()
  let longestPauseMs = 0
  while (left.length > jobs.length * (1 - share) && longestPauseMs <= LEASE_MS + WORK_MS) {
    await eachOf(left.slice(0, 100), 4, async (job) => {
      const { status, text } = await job.person.ask({ method: 'GET', path: job.location! })
      if (status === 200) job.status = (JSON.parse(text) as { import: NonNullable<Job['status']> }).import
    })
    const still = left.filter((job) => !hasEnded(job))
    longestPauseMs = Math.max(longestPauseMs, Math.round(performance.now() - lastEndAt))
    if (still.length < left.length) lastEndAt = performance.now()
    left = still
    await sleep(200)
  }
  return longestPauseMs
}

/** The number of links of this run that the user has. */
async function countLinks(person: Person, run: string): Promise<number> {
  const question = { method: 'GET', path: '/api/bookmarks/export', patienceMs: 120_000 } as const
  const { text } = await person.ask(question)
  return text.split(`"https://prove.example/${run}-`).length - 1
}
