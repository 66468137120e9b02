import { fleet, type Fleet, type FleetResponse } from '@repo/testing'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { SIGN_UP_LIMIT } from '../src/routes/accounts.ts'

// Enough connections to fill the queue of password hashes on both processes.
const CONNECTIONS = 230
const OTHERS = 9

const password = 'correct horse'
let accounts: Fleet
let networks = 0

beforeAll(async () => {
  accounts = await fleet(new URL('..', import.meta.url))
})
afterAll(() => accounts[Symbol.asyncDispose]())

// The session store, which counts sign-ups, may be shared with other test files.
const run = Math.floor(Math.random() * 65_536).toString(16)
const newNetwork = (): string => `2001:db8:${run}:${(networks += 1).toString(16)}::1`

const post = (path: string, address: string, json: object): Promise<FleetResponse> =>
  accounts.request(`/api/accounts/${path}`, { method: 'POST', json, headers: { 'x-forwarded-for': address } })

let emails: string[] = []
beforeEach(async () => {
  emails = Array.from({ length: OTHERS }, () => `other-${crypto.randomUUID()}@example.com`)
  const answers = await Promise.all(emails.map((email) => post('sign-up', newNetwork(), { email, password })))
  expect(answers.map(({ status }) => status)).toEqual(emails.map(() => 201))
})

/** Sends all at once. As soon as one of them is answered, each of the other users signs in, from their own network. */
async function flood(path: string, addressOf: (n: number) => string) {
  const flooding = Array.from({ length: CONNECTIONS }, (_, n) =>
    post(path, addressOf(n), { email: `flood-${crypto.randomUUID()}@example.com`, password }),
  )
  await Promise.race(flooding)
  const signIns = await Promise.all(emails.map((email) => post('sign-in', newNetwork(), { email, password })))
  return { flooded: await Promise.all(flooding), others: signIns.map(({ status }) => status) }
}

const everybody = Array.from({ length: OTHERS }, () => 200)
const count = (answers: FleetResponse[], status: number) =>
  answers.filter((answer) => answer.status === status).length

test('a network that floods sign-up makes so many accounts an hour, over all processes, and keeps nobody out', async () => {
  const address = newNetwork()
  const { flooded, others } = await flood('sign-up', () => address)

  expect(others).toEqual(everybody)
  expect(count(flooded, 201)).toBeLessThanOrEqual(SIGN_UP_LIMIT.max)
  expect(count(flooded, 201)).toBeGreaterThan(0)
  expect(count(flooded, 429)).toBe(CONNECTIONS - SIGN_UP_LIMIT.max)
  const refused = flooded.find(({ status }) => status === 429)!
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3500)
  expect(await refused.json()).toMatchObject({ code: 'LIMIT_REACHED' })
})

test('sign-ups from many networks at once keep nobody from signing in', async () => {
  const addresses = Array.from({ length: 10 }, newNetwork)
  const { flooded, others } = await flood('sign-up', (n) => addresses[n % addresses.length]!)

  expect(others).toEqual(everybody)
  expect(count(flooded, 201) + count(flooded, 503)).toBe(CONNECTIONS)
  expect(count(flooded, 503)).toBeGreaterThan(0)
})

test('a network that floods sign-in keeps nobody else from signing in', async () => {
  const address = newNetwork()
  const { flooded, others } = await flood('sign-in', () => address)

  expect(others).toEqual(everybody)
  for (const answer of flooded) expect([401, 429, 503]).toContain(answer.status)
  for (const answer of flooded)
    if (answer.status !== 401) expect(answer.headers.has('retry-after')).toBe(true)
  expect(count(flooded, 503)).toBeGreaterThan(0)
})
