import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addSearch, RECENT_SEARCHES } from '../src/domain/recent-searches.ts'
import { startFormation, type Answer, type Formation, type Person } from './formation.ts'

describe('the list of searches', () => {
  test('has the newest first, each once', () => {
    const searches = ['a', 'b', 'a', 'A'].reduce<string[]>(addSearch, [])
    expect(searches).toEqual(['A', 'a', 'b'])
  })

  test('forgets the oldest', () => {
    const all = Array.from({ length: RECENT_SEARCHES + 2 }, (_, n) => `search ${n}`)
    expect(all.reduce<string[]>(addSearch, [])).toEqual(all.toReversed().slice(0, RECENT_SEARCHES))
  })
})

describe('recent searches', () => {
  // Successive requests reach successive processes: each process does half of a test.
  let house: Formation
  beforeAll(async () => {
    house = await startFormation()
  })
  afterAll(() => house[Symbol.asyncDispose]())

  test('are what this browser searched for last, whichever process answers', async () => {
    const person = await house.person()
    expect(await searchesOf(person)).toEqual([])
    await remember(person, 'fastify')
    const { status, body } = await remember(person, ' Žluťoučký \u{1F600} "')
    expect([status, body]).toEqual([200, { searches: [' Žluťoučký \u{1F600} "', 'fastify'] }])
    for (let n = 0; n < 2; n++) expect(await searchesOf(person)).toEqual(body.searches)
  })

  test('of several tabs at the same moment are all kept, on two processes', async () => {
    const person = await house.person()
    const tabs = Array.from({ length: RECENT_SEARCHES }, (_, n) => `of tab ${n}`)
    const answers = await Promise.all(tabs.map((q) => remember(person, q)))
    expect(answers.map(({ status }) => status)).toEqual(tabs.map(() => 200))
    expect((await searchesOf(person)).sort()).toEqual(tabs)
  })

  test('stay in one browser: not in another one of the same person', async () => {
    const person = await house.person()
    await remember(person, 'fastify')
    expect(await searchesOf(await house.person(person.id))).toEqual([])
  })

  test('are stored by no read: a list that was searched leaves the session as it was', async () => {
    const person = await house.person()
    expect(await person.get('?q=fastify')).toMatchObject({ status: 200 })
    expect(await searchesOf(person)).toEqual([])
  })

  test.each([[''], ['\0'], ['x'.repeat(201)], [5]])(
    'refuse %j, which is no text that a list is searched for',
    async (q) => {
      const person = await house.person()
      expect(await person.send('POST', '/searches', { q })).toMatchObject({
        status: 400,
        body: { code: 'REQUEST_INVALID' },
      })
      expect(await searchesOf(person)).toEqual([])
    },
  )
})

async function searchesOf(person: Person): Promise<string[]> {
  return (await person.get('/searches')).body.searches
}

function remember(person: Person, q: string): Promise<Answer> {
  return person.send('POST', '/searches', { q })
}
