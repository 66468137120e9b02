import { hash, randomBytes } from 'node:crypto'
import { Agent } from 'undici'
import { openSessionStore, type SessionStore } from '@repo/session'
import { atMost, none, told, type Attack } from '../attack.ts'
import { measureMemory } from '../deployment/measure-memory.ts'
import { eachOf } from '../load/each-of.ts'
import {
  passwordOf,
  signIn,
  signUp,
  WHO_AM_I,
  type Answer,
  type Person,
  type Question,
} from '../load/person.ts'
import { failuresOf, standing, tellFailures } from '../load/standing.ts'

const SESSIONS = '/api/accounts/sessions'
const PASSWORD = '/api/accounts/password'

/** The session package's default limit for one user. */
const MOST_OF_ONE = 100
const PEOPLE = 4
const EACH = 2000
const HOUR_MS = 60 * 60_000
const MOST_GROWTH_BYTES = 128 * 1024 * 1024

/** Users who have thousands of sessions each, as an earlier release without a limit would allow. */
export const hoard: Attack = {
  name: 'hoard',
  does: 'several users have thousands of sessions each, some opened by thieves; the users list their sessions and end them',
  claim:
    'each list is shown, all other sessions end, a new password is accepted; the thieves are signed out; memory stays flat; other users are served',
  needs: ['haproxy', 'redis'],
  async run({ deployment, startLoad, note }) {
    const load = await startLoad()
    const agent = new Agent({ connections: 32 })
    const caller = { url: deployment.url, dispatcher: agent }
    await using store = await openSessionStore(deployment.redis!.url, { deadlineMs: 10_000 })
    const owners: Person[] = []
    for (let n = 1; n <= PEOPLE; n++) {
      owners.push(await signUp(caller, `hoarder-${n}-${process.pid}-${Date.now()}@prove.example`))
    }
    const hoardAll = (): Promise<void> => eachOf(owners, PEOPLE, ({ id }) => hoardSessions(store, id))
    const signInAll = (): Promise<Person[]> => Promise.all(owners.map(({ email }) => signIn(caller, email)))

    // Sign in first, so that the memory for password hashes is already in use. Only the memory for the lists is measured.
    await signInAll()
    await signInAll()
    const before = await measureMemory(deployment.inhabited())

    note('sign in beyond the cap')
    await hoardAll()
    await signInAll()
    const lists = await countSessions(store, owners)

    note('show the lists')
    await hoardAll()
    const shown = await Promise.all(owners.map(ask({ method: 'GET', path: SESSIONS })))

    note('end all others')
    const thieves = await signInAll()
    await hoardAll()
    const ended = await Promise.all(owners.slice(0, 2).map(ask({ method: 'DELETE', path: SESSIONS })))
    note('a new password')
    const changed = await Promise.all(
      owners.slice(2).map((owner) => {
        const current = passwordOf(owner.email)
        return owner.ask({ method: 'PUT', path: PASSWORD, json: { current, next: `${current}, changed` } })
      }),
    )
    const stillIn = await Promise.all(thieves.map(ask({ method: 'GET', path: WHO_AM_I })))
    const left = await countSessions(store, owners)
    const grown = (await measureMemory(deployment.inhabited())).map((bytes, i) => bytes - before[i]!)

    const results = await load.stop()
    await agent.destroy()
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests', failuresOf(results).length),
      told(`sessions made of each of ${PEOPLE} people, three times`, EACH),
      atMost('on the longest list after a sign-in', Math.max(...lists), MOST_OF_ONE),
      none(
        'answers other than 2xx',
        [...shown, ...ended, ...changed].filter(({ status }) => status > 299).length,
      ),
      atMost('sessions on the longest list shown', Math.max(...shown.map(countShown)), MOST_OF_ONE),
      none('thieves who are still signed in', stillIn.filter(({ status }) => status !== 401).length),
      atMost('sessions left of one user', Math.max(...left), 1),
      atMost(
        'MB that the memory of a process grew',
        Math.round(Math.max(...grown) / 1e6),
        MOST_GROWTH_BYTES / 1e6,
      ),
    ]
  },
}

function ask(question: Question): (person: Person) => Promise<Answer> {
  return (person) => person.ask(question)
}

/** The key under which a store lists a user's sessions. */
function ownerKeyOf(userId: string): string {
  return hash('sha256', userId, 'base64url')
}

/**
 * Creates sessions as the package stores them. No client has their cookies, and they are older than the sessions of users
 * who sign in now.
 */
async function hoardSessions(store: SessionStore, userId: string): Promise<void> {
  const key = ownerKeyOf(userId)
  const record = JSON.stringify([1, Date.now() - HOUR_MS, { id: userId }, 'hoard'])
  const from = Date.now() + 10 * HOUR_MS
  await eachOf([...Array(EACH).keys()], 16, async (n) => {
    await store.create(randomBytes(32).toString('base64url'), record, HOUR_MS, { key, until: from + n })
  })
}

async function countSessions(store: SessionStore, people: readonly Person[]): Promise<number[]> {
  return Promise.all(
    people.map(async ({ id }) => {
      let count = 0
      for (
        let page = await store.list(ownerKeyOf(id));
        ;
        page = await store.list(ownerKeyOf(id), page.next)
      ) {
        count += page.sessions.length
        if (!page.next) return count
      }
    }),
  )
}

function countShown({ status, text }: Answer): number {
  return status === 200 ? (JSON.parse(text) as { sessions: unknown[] }).sessions.length : 0
}
