import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openDatabase } from '../src/database.ts'
import { startFormation, type Formation, type Person } from './formation.ts'

// Successive requests reach successive processes: each process does half of a test.

let house: Formation
beforeAll(async () => {
  house = await startFormation()
})
afterAll(() => house[Symbol.asyncDispose]())

async function add(person: Person, json: object) {
  const { status, body } = await person.send('POST', '', json)
  expect([status, body]).toEqual([201, expect.anything()])
  return body
}

describe('one bookmark', () => {
  test('is added, read, changed and removed, by whichever process', async () => {
    const person = await house.person()
    const added = await person.send('POST', '', {
      url: ' HTTPS://Example.org:443/a?b=1#c ',
      title: '  A\n title ',
      notes: 'one\r\ntwo\n',
      tags: ['b', ' a  c ', 'b', ''],
    })
    expect(added).toMatchObject({
      status: 201,
      body: {
        url: 'https://example.org/a?b=1#c',
        title: 'A title',
        notes: 'one\ntwo',
        tags: ['b', 'a c'],
        folder: '',
      },
    })
    expect(Math.abs(Date.parse(added.body.createdAt) - Date.now())).toBeLessThan(10_000)
    expect(added.body.createdAt).toMatch(/:\d\d\.000Z$/)

    const path = added.headers.get('location')!.replace('/api/bookmarks', '')
    expect(await person.get(path)).toMatchObject({ status: 200, body: added.body })

    const changed = await person.send('PATCH', path, { title: 'B', tags: [] })
    expect(changed).toMatchObject({ status: 200, body: { ...added.body, title: 'B', tags: [] } })
    expect((await person.get(path)).body).toEqual(changed.body)

    expect(await person.send('DELETE', path)).toMatchObject({ status: 204, body: '' })
    for (const method of ['GET', 'DELETE']) {
      expect(await person.send(method, path)).toMatchObject({
        status: 404,
        body: { code: 'BOOKMARK_NOT_FOUND' },
      })
    }
    expect(await person.send('PATCH', path, { title: 'C' })).toMatchObject({ status: 404 })
  })

  test('needs nothing but an address', async () => {
    const person = await house.person()
    const body = await add(person, { url: 'http://example.org' })
    expect(body).toMatchObject({ url: 'http://example.org/', title: '', notes: '', tags: [], folder: '' })
  })

  test('is one per address and person, also when many add it at the same moment', async () => {
    const [person, other] = [await house.person(), await house.person()]
    const answers = await Promise.all(
      Array.from({ length: 10 }, () => person.send('POST', '', { url: 'https://example.org/same' })),
    )
    expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(9).fill(409)])
    expect(await person.send('POST', '', { url: 'HTTPS://EXAMPLE.org/same' })).toMatchObject({
      status: 409,
      body: { code: 'BOOKMARK_EXISTS' },
    })
    await add(other, { url: 'https://example.org/same' })

    const { id } = await add(person, { url: 'https://example.org/another' })
    expect(await person.send('PATCH', `/${id}`, { url: 'https://example.org/same' })).toMatchObject({
      status: 409,
      body: { code: 'BOOKMARK_EXISTS' },
    })
  })

  test.each([
    'example.org',
    'ftp://example.org',
    'javascript:alert(1)',
    '/a',
    'http://',
    '',
    `https://example.org/${'ž'.repeat(8000)}`,
  ])('is refused when its address is no web address: %.20s', async (url) => {
    const person = await house.person()
    expect(await person.send('POST', '', { url })).toMatchObject({
      status: 400,
      body: { code: 'BOOKMARK_URL_INVALID' },
    })
  })

  test('of somebody else is not found, and stays as it is', async () => {
    const [person, other] = [await house.person(), await house.person()]
    const theirs = await add(other, { url: 'https://example.org/theirs', title: 'Theirs' })
    for (const [method, json] of [['GET'], ['PATCH', { title: 'Mine' }], ['DELETE']] as const) {
      expect(await person.send(method, `/${theirs.id}`, json)).toMatchObject({ status: 404 })
    }
    expect((await other.get(`/${theirs.id}`)).body).toEqual(theirs)
  })

  test('may hold anything that is text', async () => {
    const person = await house.person()
    const title = '\u{1F600} <b>&amp;</b> "\' \\ % _'
    const body = await add(person, { url: 'https://example.org/text', title })
    expect(body.title).toBe(title)
    expect((await person.get(`/${body.id}`)).body).toEqual(body)
  })
})

describe('the list', () => {
  test('is the newest first, in pages that neither repeat nor leave out', async () => {
    const person = await house.person()
    const urls = Array.from({ length: 23 }, (_, n) => `https://example.org/${n}`)
    for (const url of urls) await add(person, { url })

    const seen: string[] = []
    let cursor: string | null = ''
    const pages: number[] = []
    while (cursor !== null) {
      const { status, body } = await person.get(`?limit=5${cursor && `&cursor=${cursor}`}`)
      expect(status).toBe(200)
      pages.push(body.bookmarks.length)
      seen.push(...body.bookmarks.map(({ url }: { url: string }) => url))
      cursor = body.nextCursor
    }
    expect(pages).toEqual([5, 5, 5, 5, 3])
    expect([...seen].sort()).toEqual([...urls].sort())
    expect((await person.get('')).body.bookmarks).toHaveLength(23)
    expect((await person.get('?limit=23')).body.nextCursor).toBeNull()
    expect((await person.get('?cursor=&q=&tag=')).body.bookmarks).toHaveLength(23)
  })

  test('finds a text in title, address and notes, whatever its case, and as it is written', async () => {
    const person = await house.person()
    await add(person, { url: 'https://example.org/1', title: 'Žluťoučký kůň' })
    await add(person, { url: 'https://example.org/Second' })
    await add(person, { url: 'https://example.org/3', notes: '100% under_scored \\ slash' })

    const found = async (q: string) =>
      (await person.get(`?q=${encodeURIComponent(q)}`)).body.bookmarks.map(({ url }: { url: string }) =>
        url.at(-1),
      )
    expect(await found('žLUŤ')).toEqual(['1'])
    expect(await found('SECOND')).toEqual(['d'])
    expect(await found('100%')).toEqual(['3'])
    expect(await found('under_s')).toEqual(['3'])
    expect(await found('\\ slash')).toEqual(['3'])
    expect(await found('1_0')).toEqual([])
    expect(await found('%')).toEqual(['3'])
    expect(await found('nothing')).toEqual([])
  })

  test('finds a tag, alone and together with a text', async () => {
    const person = await house.person()
    await add(person, { url: 'https://example.org/1', title: 'one', tags: ['a', 'b c'] })
    await add(person, { url: 'https://example.org/2', title: 'two', tags: ['a'] })
    const found = async (query: string) =>
      (await person.get(query)).body.bookmarks.map(({ title }: { title: string }) => title)
    expect((await found('?tag=a')).sort()).toEqual(['one', 'two'])
    expect(await found('?tag=b%20c')).toEqual(['one'])
    expect(await found('?tag=b')).toEqual([])
    expect(await found('?tag=a&q=tw')).toEqual(['two'])
  })

  test('is everybody’s own', async () => {
    const [person, other] = [await house.person(), await house.person()]
    await add(other, { url: 'https://example.org/theirs' })
    expect((await person.get('')).body).toEqual({ bookmarks: [], nextCursor: null })
  })

  test.each([
    ['limit=0', 'REQUEST_INVALID'],
    ['limit=201', 'REQUEST_INVALID'],
    ['limit=1.5', 'REQUEST_INVALID'],
    ['limit=x', 'REQUEST_INVALID'],
    ['q=%00', 'REQUEST_INVALID'],
    ['tag=a%00', 'REQUEST_INVALID'],
    [`q=${'x'.repeat(201)}`, 'REQUEST_INVALID'],
    ['cursor=x', 'CURSOR_INVALID'],
    [`cursor=${Buffer.from('12 x').toString('base64url')}`, 'CURSOR_INVALID'],
  ])('refuses %s', async (query, code) => {
    const person = await house.person()
    expect(await person.get(`?${query}`)).toMatchObject({ status: 400, body: { code } })
  })
})

describe('a search that takes too long', () => {
  test('is stopped, and says what to do', async () => {
    const person = await slowPerson()
    const { status, body } = await person.get(slow)
    expect([status, body]).toEqual([422, expect.objectContaining({ code: 'QUERY_TOO_SLOW' })])
    expect(await person.get('?q=aaaa&limit=1')).toMatchObject({ status: 200 })
  })

  test('is in nobody else’s way, however many of them one person starts', async () => {
    const [person, other] = [await slowPerson(), await house.person()]
    await add(other, { url: 'https://example.org/', title: 'There' })
    const searches = Array.from({ length: 24 }, () => person.get(slow))

    const over = new AbortController()
    const answers = Promise.all(searches).finally(() => over.abort())
    const waits: number[] = []
    while (!over.signal.aborted) {
      const askedAt = performance.now()
      expect(await other.get('')).toMatchObject({ status: 200 })
      expect(await other.get('?q=there')).toMatchObject({ status: 200, body: { bookmarks: [{}] } })
      waits.push(performance.now() - askedAt)
    }
    expect(Math.max(...waits)).toBeLessThan(1_000)
    const statuses = new Set((await answers).map(({ status, body }) => `${status} ${body.code}`))
    expect(statuses).toEqual(new Set(['422 QUERY_TOO_SLOW', '429 QUERY_UNDER_WAY']))
  })
})

describe('bad input', () => {
  test.each([
    ['broken JSON', '{"url":', 'BODY_MALFORMED'],
    ['no JSON at all', '', 'REQUEST_INVALID'],
    ['no object', '[]', 'REQUEST_INVALID'],
    ['null', 'null', 'REQUEST_INVALID'],
    ['no address', '{"title":"x"}', 'REQUEST_INVALID'],
    ['a number for an address', '{"url":5}', 'REQUEST_INVALID'],
    ['a text for tags', '{"url":"https://a.example","tags":"a"}', 'REQUEST_INVALID'],
    ['a comma in a tag', '{"url":"https://a.example","tags":["a,b"]}', 'REQUEST_INVALID'],
    [
      'a tag that is too long',
      `{"url":"https://a.example","tags":["${'x'.repeat(101)}"]}`,
      'REQUEST_INVALID',
    ],
    [
      'a title that is too long',
      `{"url":"https://a.example","title":"${'x'.repeat(1001)}"}`,
      'REQUEST_INVALID',
    ],
    ['NUL', String.raw`{"url":"https://a.example","title":"\u0000"}`, 'REQUEST_INVALID'],
    ['an unknown field', '{"url":"https://a.example","userId":"x"}', 'REQUEST_INVALID'],
    ['a prototype', '{"url":"https://a.example","__proto__":{"x":1}}', 'BODY_MALFORMED'],
  ])('%s is a clear problem', async (_, body, code) => {
    const person = await house.person()
    const response = await person.browser.request('/api/bookmarks', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    })
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/)
    expect(await response.json()).toMatchObject({ status: 400, code })
  })

  test('a change of nothing is refused', async () => {
    const person = await house.person()
    const { id } = await add(person, { url: 'https://example.org/' })
    for (const json of [{}, { folder: 'x' }]) {
      expect(await person.send('PATCH', `/${id}`, json)).toMatchObject({
        status: 400,
        body: { code: 'REQUEST_INVALID' },
      })
    }
  })

  test.each(['nothing', '%00', 'x'.repeat(101), '..%2f..%2fx', '00000000-0000-0000-0000-000000000000'])(
    'the id %.20s is nobody’s',
    async (id) => {
      const person = await house.person()
      const { status, body } = await person.get(`/${id}`)
      expect(status).toBeOneOf([400, 404, 414])
      expect(body.code).toMatch(/NOT_FOUND|INVALID|LONG/)
    },
  )
})

test.each([
  ['GET', ''],
  ['POST', ''],
  ['GET', '/x'],
  ['PATCH', '/x'],
  ['DELETE', '/x'],
  ['GET', '/searches'],
  ['POST', '/searches'],
  ['GET', '/export'],
  ['POST', '/imports'],
  ['GET', '/imports/x'],
])('%s %s is for who is signed in', async (method, path) => {
  for (let n = 0; n < 2; n++) {
    const response = await house.servers.request(`/api/bookmarks${path}`, { method })
    expect([response.status, await response.json()]).toMatchObject([401, { code: 'SIGNED_OUT' }])
  }
})

// 16 MB, where Postgres compares 200 characters at each position.
const slow = `?q=${'a'.repeat(199)}b`

async function slowPerson(): Promise<Person> {
  const person = await house.person()
  await using database = openDatabase(house.servers.env['DATABASE_URL']!)
  const data = Array.from({ length: 800 }, (_, n) => ({
    userId: person.id,
    url: `https://example.org/${n}`,
    title: '',
    notes: 'a'.repeat(20_000),
    tags: [],
    folder: [],
    createdAt: new Date(),
  }))
  await database.bookmark.createMany({ data })
  return person
}
