import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { pollUntil } from '@repo/testing'
import { FormData } from 'undici'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { openDatabase, type Database } from '../src/database.ts'
import { form, startFormation, type Formation, type Import, type Person } from './formation.ts'

const maxBytes = 3_000_000

let house: Formation
let database: Database
beforeAll(async () => {
  house = await startFormation({
    IMPORT_MAX_BYTES: `${maxBytes}`,
    IMPORT_ALLOWED_ADDRESSES: '127.0.0.1',
    IMPORTS_MAX_IN_FLIGHT: '3',
    BOOKMARKS_MAX: '9000',
  })
  database = openDatabase(house.servers.env['DATABASE_URL']!)
})
afterAll(async () => {
  await database?.[Symbol.asyncDispose]()
  await house?.[Symbol.asyncDispose]()
})

describe('an uploaded file', () => {
  test.each([
    ['real/chromium_nested.htm', 18, 18],
    ['real/delicious.htm', 5, 5],
    ['real/firefox_nested.htm', 24, 21],
    ['real/netscape_multiline.htm', 3, 3],
    ['real/netscape_nested.htm', 8, 8],
    ['written/google.html', 3, 3],
    ['written/internet-explorer-11.html', 3, 3],
    ['written/safari.html', 4, 4],
    ['written/scuttle.html', 2, 2],
    ['written/shaarli.html', 4, 3],
  ])('%s becomes bookmarks, and no others the second time', async (name, total, imported) => {
    const person = await house.person()
    expect(await person.import(read(name))).toMatchObject({
      status: 'done',
      total,
      imported,
      skipped: total - imported,
      error: null,
    })
    const first = await list(person)
    expect(first).toHaveLength(imported)

    expect(await person.import(read(name))).toMatchObject({
      status: 'done',
      total,
      imported: 0,
      skipped: total,
    })
    expect(await list(person)).toEqual(first)
  })

  test('keeps what a browser knew', async () => {
    const person = await house.person()
    await person.import(read('real/firefox_nested.htm'))
    const { bookmarks } = (await person.get('?q=netscape-bookmark-parser')).body
    expect(bookmarks).toEqual([
      {
        id: expect.any(String),
        url: 'https://github.com/kafene/netscape-bookmark-parser',
        title:
          'kafene/netscape-bookmark-parser: a php script (function) to parse netscape format bookmark files',
        notes: 'netscape-bookmark-parser - a php script (function) to parse netscape format bookmark files',
        tags: ['github', 'netscape', 'parser'],
        folder: 'Dev/PHP',
        createdAt: '2016-05-19T19:31:19.000Z',
      },
    ])
  })

  test.each([
    'real/firefox_nested.htm',
    'real/chromium_nested.htm',
    'real/netscape_multiline.htm',
    'written/sloppy.html',
  ])('%s is the same after being exported and imported by somebody else', async (name) => {
    const [person, other] = [await house.person(), await house.person()]
    await person.import(read(name))
    const exported = await person.get('/export')
    expect(exported.headers.get('content-type')).toBe('text/html; charset=utf-8')
    expect(exported.headers.get('content-disposition')).toBe('attachment; filename="bookmarks.html"')

    const { total, imported } = await other.import(exported.body)
    expect(total).toBe(imported)
    expect(await list(other)).toEqual(await list(person))
  })

  test('shows how far it is while it is read, and links of one second stay in the order of the file', async () => {
    const person = await house.person()
    const urls = Array.from({ length: 8000 }, (_, n) => `https://example.org/${n}`)
    const links = urls.map((url) => `<DT><A HREF="${url}" ADD_DATE="1466009412">${url}</A>`)
    const { body } = await person.send('POST', '/imports', form(header + links.join('\n')))
    const seen: Import[] = []
    const done = await person.watch(body.import.id, (progress) => seen.push(progress))

    expect(done).toMatchObject({ status: 'done', total: 8000, imported: 8000, skipped: 0 })
    for (const { total, imported, skipped } of seen) expect(total).toBe(imported + skipped)
    const totals = seen.map(({ total }) => total)
    expect(totals).toEqual([...totals].sort((a, b) => a - b))
    expect(totals.some((total) => total > 0 && total < 8000)).toBe(true)

    const page = (await person.get('?limit=200')).body.bookmarks.map(({ url }: { url: string }) => url)
    expect(page).toEqual(urls.slice(-200).toReversed())
  })

  test('is told as events, which go on through another process from what was seen', async () => {
    const person = await house.person()
    const links = Array.from({ length: 8000 }, (_, n) => `<DT><A HREF="https://example.org/${n}">${n}</A>`)
    const { body } = await person.send('POST', '/imports', form(header + links.join('\n')))
    const path = `/api/bookmarks/imports/${body.import.id}/events`
    const listen = async (process: number, headers = {}) => {
      const { status, body } = await person.browser.request(path, { process, headers })
      let text = ''
      for await (const piece of body ?? []) text += Buffer.from(piece as Uint8Array).toString()
      const events = text.matchAll(/^id: (.*)\nevent: progress\ndata: (.*)\n\n/gm)
      return {
        status,
        events: [...events].map(([, id, data]) => ({ ...JSON.parse(data!).import, mark: id! })),
      }
    }
    const { events } = await listen(1)
    expect(events.at(-1)).toMatchObject({ status: 'done', total: 8000, imported: 8000, error: null })
    const totals = events.map(({ total }) => total)
    expect(totals).toEqual([...new Set(totals)].sort((a, b) => a - b))

    // A client that has seen the end gets 204. Another one gets only the last event.
    expect(await listen(2, { 'last-event-id': events.at(-1)!.mark })).toEqual({ status: 204, events: [] })
    expect(await listen(2, { 'last-event-id': 'running-500' })).toEqual({
      status: 200,
      events: events.slice(-1),
    })
    const other = await house.person()
    expect(await other.get(`/imports/${body.import.id}/events`)).toMatchObject({ status: 404 })
  })

  test('one link under two labels becomes one bookmark that keeps both', async () => {
    const person = await house.person()
    const done = await person.import(read('cases/q08-one-link-under-two-labels.html'))
    expect(done).toMatchObject({ status: 'done', total: 3, imported: 2, skipped: 1 })
    expect(await list(person)).toMatchObject([
      { url: 'https://languages.example/ada', folder: 'Programming', tags: [] },
      { url: 'https://languages.example/c', folder: 'History', tags: ['Programming'] },
    ])
  })

  test('counts an address that stands in it twice, once', async () => {
    const person = await house.person()
    await person.send('POST', '', { url: 'https://example.org/there', title: 'There already' })
    const file = ['/there', '/a', '/b', '/a', '/there', '/a'].map(
      (path, n) => `<DT><A HREF="https://example.org${path}">${n}</A>`,
    )
    expect(await person.import(header + file.join(''))).toMatchObject({ total: 6, imported: 2, skipped: 4 })
    const titles = Object.fromEntries((await list(person)).map(({ url, title }) => [url, title]))
    expect(titles).toEqual({
      'https://example.org/there': 'There already',
      'https://example.org/a': '1',
      'https://example.org/b': '2',
    })
  })

  test('is somebody’s own', async () => {
    const [person, other] = [await house.person(), await house.person()]
    const { id } = await person.import(read('real/delicious.htm'))
    expect(await other.get(`/imports/${id}`)).toMatchObject({
      status: 404,
      body: { code: 'IMPORT_NOT_FOUND' },
    })
    expect(await list(other)).toEqual([])
  })

  test.each([
    ['an empty file', '', 'The file is empty.'],
    ['a page', '<html><a href="https://example.org">x</a></html>', /^This is not a bookmark file\./],
    ['a picture', Buffer.from('89504e470d0a1a0a0000000d49484452', 'hex'), /^This is not a bookmark file\./],
    ['a backup in JSON', '{"guid":"root________"}', /^This is not a bookmark file\./],
    ['a comment without an end', `${header}<!-- ${'x'.repeat(2_500_000)}`, /does not end/],
  ])('that is %s fails with a sentence', async (_, file, error) => {
    const person = await house.person()
    expect(await person.import(file)).toEqual({
      id: expect.any(String),
      status: 'failed',
      total: 0,
      imported: 0,
      skipped: 0,
      error: expect.stringMatching(error),
    })
  })

  test('of exactly the largest size is taken, and a byte more is not', async () => {
    const person = await house.person()
    const link = '<DT><A HREF="https://example.org/">x</A>'
    const file = header + link + ' '.repeat(maxBytes - header.length - link.length)
    expect(await person.import(file)).toMatchObject({ status: 'done', imported: 1 })
    expect(await person.send('POST', '/imports', form(`${file} `))).toMatchObject({
      status: 413,
      body: { code: 'IMPORT_TOO_LARGE', detail: `The file is larger than ${maxBytes} bytes.` },
    })
    await noChunks()
  })
})

describe('an upload that goes wrong', () => {
  test.each([
    ['a form without a file', new FormData(), 'IMPORT_F'],
    ['a file under another name', form(read('real/delicious.htm'), 'bookmarks'), 'IMPORT_FILE_MISSING'],
    ['a field instead of a file', Object.assign(new FormData(), {}), 'IMPORT_F'],
  ])('%s is a clear problem', async (_, data, code) => {
    const person = await house.person()
    const { status, body } = await person.send('POST', '/imports', data)
    expect([status, body.code]).toEqual([400, expect.stringContaining(code)])
  })

  test.each([
    ['no boundary', 'multipart/form-data', 'x', 400, 'IMPORT_FORM_MALFORMED'],
    [
      'no end',
      'multipart/form-data; boundary=x',
      '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\nabc',
      400,
      'IMPORT_FORM_MALFORMED',
    ],
    ['nothing', 'multipart/form-data; boundary=x', '', 400, 'IMPORT_F'],
    ['another kind of body', 'text/html', header, 415, 'MEDIA_TYPE_UNSUPPORTED'],
    ['broken JSON', 'application/json', '{', 400, 'BODY_MALFORMED'],
    ['JSON without an address', 'application/json', '{}', 400, 'REQUEST_INVALID'],
    ['JSON with a number', 'application/json', '{"url":1}', 400, 'REQUEST_INVALID'],
  ])('a body with %s is a clear problem', async (_, type, body, status, code) => {
    const person = await house.person()
    const response = await person.browser.request('/api/bookmarks/imports', {
      method: 'POST',
      headers: { 'content-type': type },
      body,
    })
    expect([response.status, await response.json()]).toMatchObject([
      status,
      { code: expect.stringContaining(code) },
    ])
    await noChunks()
  })

  test.each([
    ['a form that says so', 'multipart/form-data; boundary=x', { 'content-length': `${2 ** 31}` }],
    ['JSON that says so', 'application/json', { 'content-length': `${2 ** 31}` }],
    [
      'a form that does not say how long it is',
      'multipart/form-data; boundary=x',
      { 'transfer-encoding': 'chunked' },
    ],
  ])('2 GB are refused long before they are sent: %s', async (_, type, headers) => {
    const person = await house.person()
    const { status, sentBytes } = await sendEndlessly(person, type, headers)
    expect(status).toBe(413)
    expect(sentBytes).toBeLessThan(64 * 1024 * 1024)
    await noChunks()
  })

  test('a sender that hangs up leaves nothing behind', async () => {
    const person = await house.person()
    const socket = await open(person, { 'content-length': '2000000' })
    socket.write(
      `--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n${'y'.repeat(1_500_000)}`,
    )
    await pollUntil('a piece has arrived', async () => (await database.importChunk.count()) > 0)
    socket.destroy()
    await noChunks()
    expect(await database.bookmarkImport.count({ where: { userId: person.id } })).toBe(0)
  })

  test('what a killed server leaves behind is no import, and is cleared up', async () => {
    const person = await house.person()
    const socket = await open(person, { 'content-length': '2000000' })
    socket.on('error', () => {})
    socket.write(
      `--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n${'y'.repeat(1_500_000)}`,
    )
    await pollUntil('a piece has arrived', async () => (await database.importChunk.count()) > 0)
    await house.servers.kill(1)
    await house.servers.restart(1)

    const left = await database.bookmarkImport.findFirstOrThrow({ where: { userId: person.id } })
    expect(await person.get(`/imports/${left.id}`)).toMatchObject({ status: 404 })

    // The rows are made older, because the test cannot wait for an hour. Then the scheduled job is enqueued.
    await database.bookmarkImport.update({
      where: { id: left.id },
      data: { updatedAt: new Date(Date.now() - 61 * 60_000) },
    })
    await database.$queryRaw`SELECT id::text FROM add_job('bookmarks.end-lost-imports', '{}'::json)`
    await noChunks()
    expect(await database.bookmarkImport.count({ where: { id: left.id } })).toBe(0)
  })
})

describe('a file from the web', () => {
  test('is fetched and imported', async () => {
    const person = await house.person()
    const url = await serve((request, response) => {
      if (request.url === '/') response.writeHead(302, { location: '/file' }).end()
      else response.end(read('real/firefox_nested.htm'))
    })
    const { status, body } = await person.send('POST', '/imports', { url })
    expect([status, body]).toEqual([202, { import: { id: expect.any(String), status: 'queued' } }])
    expect(await person.watch(body.import.id)).toMatchObject({
      status: 'done',
      total: 24,
      imported: 21,
      skipped: 3,
    })
  })

  test.each([
    ['http://10.0.0.1/', /not found on the public internet/],
    ['http://169.254.169.254/latest/meta-data/', /not found on the public internet/],
    ['http://[::1]/', /not found on the public internet/],
    ['http://[::ffff:127.0.0.2]/', /not found on the public internet/],
    ['http://127.0.0.2:5432/', /not found on the public internet/],
    ['http://does-not-exist.invalid/', /not found on the public internet/],
  ])('from %s is not', async (url, error) => {
    const person = await house.person()
    const { body } = await person.send('POST', '/imports', { url })
    expect(await person.watch(body.import.id)).toMatchObject({
      status: 'failed',
      total: 0,
      error: expect.stringMatching(error),
    })
  })

  test('that is too large is not', async () => {
    const person = await house.person()
    const url = await serve((_, response) => response.end(header + ' '.repeat(maxBytes)))
    const { body } = await person.send('POST', '/imports', { url })
    expect(await person.watch(body.import.id)).toMatchObject({
      status: 'failed',
      error: /larger than 3000000 bytes/,
    })
  })

  test.each([
    'file:///etc/passwd',
    'ftp://example.org/',
    'example.org',
    '',
    'https://user:secret@example.org/',
    'https://user@example.org/',
  ])('needs a web address, and %s is none', async (url) => {
    const person = await house.person()
    expect(await person.send('POST', '/imports', { url })).toMatchObject({
      status: 400,
      body: { code: 'IMPORT_URL_INVALID' },
    })
  })
})

describe('what one person may have under way', () => {
  test('is so many imports, whichever processes are asked at once, and more when they are done', async () => {
    const [person, other] = [await house.person(), await house.person()]
    const { url, end } = await serveSlowly()
    const answers = await Promise.all(
      Array.from({ length: 12 }, () => person.send('POST', '/imports', { url })),
    )
    const accepted = answers.filter(({ status }) => status === 202)
    expect(accepted).toHaveLength(3)
    for (const { status, body, headers } of answers.filter((answer) => !accepted.includes(answer))) {
      expect([status, body.code]).toEqual([429, 'IMPORT_LIMIT_REACHED'])
      expect(headers.get('retry-after')).toMatch(/^\d+$/)
    }
    expect(await person.send('POST', '/imports', form(read('real/delicious.htm')))).toMatchObject({
      status: 429,
      body: { code: 'IMPORT_LIMIT_REACHED' },
    })
    expect(await other.import(read('real/delicious.htm'))).toMatchObject({ status: 'done' })

    end()
    for (const { body } of accepted) {
      expect(await person.watch(body.import.id)).toMatchObject({ status: 'done', imported: 1 })
    }
    expect(await person.import(read('real/delicious.htm'))).toMatchObject({ status: 'done' })
  })

  test('has one place of the workers, and the others are for the others', async () => {
    const [person, other] = [await house.person(), await house.person()]
    const { url, end } = await serveSlowly()
    const mine = await Promise.all(Array.from({ length: 3 }, () => person.send('POST', '/imports', { url })))
    const running = () => database.bookmarkImport.count({ where: { userId: person.id, status: 'running' } })
    await pollUntil('one of them runs', async () => (await running()) === 1)
    for (let n = 0; n < 3; n++) {
      expect(await other.import(read('real/delicious.htm'))).toMatchObject({ status: 'done' })
      expect(await running()).toBe(1)
    }
    end()
    for (const { body } of mine) await person.watch(body.import.id)
  })

  test('is together no larger than the largest file, also while it arrives', async () => {
    const person = await house.person()
    const socket = await open(person, { 'content-length': '2000000' })
    socket.on('error', () => {})
    socket.write(
      `--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n${'y'.repeat(1000)}`,
    )
    const mine = { userId: person.id }
    await pollUntil('it has begun', async () => (await database.bookmarkImport.count({ where: mine })) === 1)
    const large = form(header + ' '.repeat(1_500_000))
    expect(await person.send('POST', '/imports', large)).toMatchObject({
      status: 429,
      body: { code: 'IMPORT_LIMIT_REACHED' },
    })
    expect(await person.import(read('real/delicious.htm'))).toMatchObject({ status: 'done' })

    // As if no data had come for a minute: the upload of a killed process does not block the next one.
    await database.bookmarkImport.updateMany({
      where: { ...mine, status: 'uploading' },
      data: { updatedAt: new Date(Date.now() - 61_000) },
    })
    expect((await person.send('POST', '/imports', large)).status).toBe(202)
    socket.destroy()
    await noChunks()
  })
})

test('a file with more than a person may have is imported as far as it goes, and says so', async () => {
  const person = await house.person()
  const links = Array.from({ length: 9100 }, (_, n) => `<DT><A HREF="https://example.org/${n}">x</A>`)
  const failed = await person.import(header + links.join('\n'))
  expect(failed).toMatchObject({
    status: 'failed',
    imported: 9000,
    error: expect.stringMatching(/than one person may have\. What was imported before it stays/),
  })
  expect(await person.send('POST', '', { url: 'https://example.com/' })).toMatchObject({
    status: 403,
    body: { code: 'BOOKMARK_QUOTA_EXCEEDED' },
  })
  const [bookmark] = (await person.get('?limit=1')).body.bookmarks
  expect(await person.send('PATCH', `/${bookmark.id}`, { title: 'y' })).toMatchObject({ status: 200 })
  expect(await person.send('DELETE', `/${bookmark.id}`)).toMatchObject({ status: 204 })
  const answers = await Promise.all(
    Array.from({ length: 6 }, (_, n) => person.send('POST', '', { url: `https://example.com/${n}` })),
  )
  expect(answers.map(({ status }) => status).sort()).toEqual([201, ...Array(5).fill(403)])
})

const header = '<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n'

function read(name: string): Buffer {
  return readFileSync(new URL(`exports/${name}`, import.meta.url))
}

/** All bookmarks, without what differs between users. */
async function list(person: Person) {
  const { bookmarks } = (await person.get('?limit=200')).body as {
    bookmarks: { url: string; title: string }[]
  }
  return bookmarks
    .map((bookmark) => ({ ...bookmark, id: 'its own' }))
    .sort((a, b) => (a.url < b.url ? -1 : 1))
}

/** Asserts that no chunk of a file is left, whatever the result was. */
async function noChunks(): Promise<void> {
  await pollUntil('no piece of a file is left', async () => (await database.importChunk.count()) === 0)
}

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  onTestFinished(() => void server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

/** A server that does not finish a file until `end` is called. */
async function serveSlowly() {
  const end = Promise.withResolvers<void>()
  const url = await serve(async (_, response) => {
    response.write(header)
    await end.promise
    response.end(`<DT><A HREF="https://example.org/${Math.random()}">x</A>`)
  })
  return { url, end: end.resolve }
}

/** Begins an upload on a raw socket to the first server. */
async function open(
  person: Person,
  headers: Record<string, string>,
  type = 'multipart/form-data; boundary=x',
) {
  const socket = connect(house.servers.process(1).port, '127.0.0.1')
  await once(socket, 'connect')
  const cookie = Array.from(person.browser.cookies, ([name, value]) => `${name}=${value}`).join('; ')
  const lines = Object.entries({ host: 'localhost', cookie, 'content-type': type, ...headers })
  socket.write(
    `POST /api/bookmarks/imports HTTP/1.1\r\n${lines.map((line) => line.join(': ')).join('\r\n')}\r\n\r\n`,
  )
  return socket
}

/** Sends without end, like a client that reads the answer only when there is one. */
async function sendEndlessly(person: Person, type: string, headers: Record<string, string>) {
  const socket = await open(person, headers, type)
  const isChunked = headers['transfer-encoding'] !== undefined
  const piece = 'y'.repeat(65_536)
  const framed = isChunked ? `10000\r\n${piece}\r\n` : piece
  const head = '--x\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n'
  socket.write(isChunked ? `${head.length.toString(16)}\r\n${head}\r\n` : head)

  let answer = ''
  let sentBytes = 0
  socket.on('data', (data) => (answer += String(data)))
  socket.on('error', () => {})
  await new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
    const more = () => {
      if (answer !== '' || socket.destroyed) return
      sentBytes += piece.length
      socket.write(framed, more)
    }
    socket.on('data', () => socket.end())
    more()
  })
  return { status: Number(answer.split(' ')[1]), sentBytes, answer }
}
