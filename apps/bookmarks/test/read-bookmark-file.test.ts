import { createReadStream } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { formatFolderPath } from '../src/domain/folder-path.ts'
import { readBookmarkFile } from '../src/domain/read-bookmark-file.ts'

const importedAt = new Date('2026-01-02T03:04:05.678Z')

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
  ['written/shaarli-legacy.html', 2, 2],
  ['written/shaarli.html', 4, 3],
  ['written/sloppy.html', 8, 6],
])('%s has %i links, %i of them on the web', async (file, links, onTheWeb) => {
  const found = await read(file)
  expect(found).toHaveLength(links)
  expect(found.filter((link) => link !== null)).toHaveLength(onTheWeb)
})

describe('what real programs wrote', () => {
  test('Firefox: folders, notes, tags, and a note on a folder that is nobody else’s', async () => {
    const found = await read('real/firefox_nested.htm')

    expect(await bookmark('real/firefox_nested.htm', 'https://github.com/kafene/')).toEqual({
      url: 'https://github.com/kafene/netscape-bookmark-parser',
      title:
        'kafene/netscape-bookmark-parser: a php script (function) to parse netscape format bookmark files',
      notes: 'netscape-bookmark-parser - a php script (function) to parse netscape format bookmark files',
      tags: ['github', 'netscape', 'parser'],
      folder: ['Dev', 'PHP'],
      createdAt: new Date(1463686279000),
    })
    const folders = Object.groupBy(found, (link) => link?.folder.join('/') ?? '')
    expect(Object.entries(folders).map(([folder, links]) => [folder, links?.length])).toEqual([
      ['', 4],
      ['Comics', 4],
      ['Dev', 7],
      ['Dev/PHP', 2],
      ['FLOSS', 5],
      ['Games', 1],
      ['Personal toolbar', 1],
    ])
    const notes = found.map((link) => link?.notes ?? '')
    expect(notes.filter((note) => note !== '')).toHaveLength(8)
    expect(notes.join()).not.toMatch(/fun stuff|Development &|Bookmarks Toolbar/)
    expect((await bookmark('real/firefox_nested.htm', 'http://nautil.us/')).notes).toMatch(
      /figure out&#8230;$/,
    )
    expect((await bookmark('real/firefox_nested.htm', 'http://whistle')).notes).toMatch(/you're probably/)
  })

  test('Chromium: folders in folders, and what follows them', async () => {
    const found = await read('real/chromium_nested.htm')
    const paths = found.map((link) => link && formatFolderPath(link.folder))
    expect(paths.slice(0, 6)).toEqual(['Personal toolbar', '', '', '', 'Dev/PHP', 'Dev/PHP'])
    expect(paths.slice(6, 13)).toEqual([
      'Dev/Python',
      'Dev/Python',
      'Dev/Python',
      'Dev',
      'Dev',
      'MOOC',
      'MOOC',
    ])
    expect(paths.slice(13)).toEqual(['Linux, Unix OS,Other   stuff', ...Array(4).fill('Self-hosting')])
    expect(found[3]?.title).toBe('Timeline of the Elves in Tolkien’s works | LotrProject Blog')
  })

  test('notes of many lines keep their line breaks and indentation', async () => {
    const found = await read('real/netscape_multiline.htm')
    expect(found.map((link) => link?.notes)).toEqual([
      'List:\n- item1\n- item2\n- item3',
      'Nested lists:\n- list1\n  - item1.1\n  - item1.2\n  - item1.3\n- list2\n  - item2.1',
      'List:\n- item1\n- item2\n\nParagraph number one.\n\nParagraph\nnumber\ntwo.',
    ])
  })

  test('tags of several words, and the notes of a folder', async () => {
    const found = await read('real/netscape_nested.htm')
    const [first, second, third, ...others] = found.map((link) => link?.tags)
    expect([first, second]).toEqual([
      ['tag1', 'tag2', 'multi word'],
      ['tag1', 'tag2', 'multi word'],
    ])
    expect(third).toEqual(['tag3', 'tag4', 'leaf multi word'])
    expect(others).toEqual([[], [], ['tag3'], [], ['tag4']])
    expect(found[3]).toMatchObject({ notes: 'First link of the second section', folder: ['Folder2'] })
    expect(found[6]).toMatchObject({ notes: '', folder: ['Folder3', 'Folder3-1'] })
  })

  test('Delicious: an address with an ampersand that was not escaped', async () => {
    const { url, notes } = await bookmark('real/delicious.htm', 'http://storml')
    expect(url).toMatch(/storml&qo=1$/)
    expect(notes).toBe('"Hello!"')
  })
})

describe('what is peculiar to other programs', () => {
  test('Safari writes folders without a list around them', async () => {
    const found = await read('written/safari.html')
    expect(found.map((link) => link?.folder)).toEqual([
      ['Favourites'],
      ['Travel & food', 'Prague'],
      ['Travel & food'],
      ['Reading List'],
    ])
    expect(found[1]).toMatchObject({ url: 'https://example.org/knedl%C3%ADky?a=1&b=2', title: 'Knedlíky <3' })
  })

  test('Internet Explorer writes a byte order mark and Windows line ends', async () => {
    const found = await read('written/internet-explorer-11.html')
    expect(found.map((link) => link?.title)).toEqual(['Exploits of a Mom', 'Example (Domain)  One', 'A feed'])
    expect(found[0]).toMatchObject({ folder: ['Comics'], createdAt: new Date(1466271425000) })
  })

  test('Google writes no doctype, and microseconds', async () => {
    const found = await read('written/google.html')
    expect(found[0]).toMatchObject({ folder: ['Unlabeled'], createdAt: new Date(1515515697000) })
  })

  test('Scuttle writes notes as an attribute', async () => {
    const found = await read('written/scuttle.html')
    expect(found[0]).toMatchObject({
      url: 'http://example.org/?q=navigation&cl=en',
      notes: 'A thesaurus of\ntwo lines, with "quotes"',
      tags: ['dictionary'],
    })
  })

  test('Shaarli writes addresses of its own, code in notes, and tags with spaces', async () => {
    const found = await read('written/shaarli.html')
    expect(found[0]).toBeNull()
    expect(found[1]).toMatchObject({
      notes: '"Look at it:"\n\n    if (a < b) {\n\treturn\n    }\n\n- http://example.org/list',
      tags: ['teapot', 'computer graphics'],
    })
    expect(found[2]).toMatchObject({ title: 'Secret', tags: ['private', 'secret'] })
    expect(found[3]).toMatchObject({ notes: 'With markup in its note.\nsee' })
  })

  test('sloppy files: nothing closed, nothing quoted, dates of every kind', async () => {
    const found = await read('written/sloppy.html')
    expect(found).toMatchObject(
      [
        { title: 'No quotes, and no end', createdAt: new Date(1466009412000) },
        { title: 'Single é 😀 &unknown;', tags: ['one', 'two'], createdAt: new Date('2000-10-10T10:55:36Z') },
        null,
        null,
        {
          url: 'https://example.org/spaced',
          title: 'Far future',
          notes: 'First line\nsecond line',
          createdAt: new Date('2026-01-02T03:04:05Z'),
        },
        { folder: [] },
        { folder: [] },
        { folder: ['AC/DC', 'Back \\ slash'] },
      ].map((expected) => expected && expect.objectContaining(expected)),
    )
    expect(formatFolderPath(found[7]!.folder)).toBe(String.raw`AC\/DC/Back \\ slash`)
  })
})

describe('encodings', () => {
  const head = '<!DOCTYPE NETSCAPE-Bookmark-file-1>\n'
  const body = '<DT><A HREF="https://example.org/">Žluťoučký kůň</A>'

  test.each([
    ['UTF-8 when nothing is said', Buffer.from(head + body)],
    ['UTF-16 by its byte order mark', Buffer.from(`\ufeff${head}${body}`, 'utf16le')],
    ['an encoding that does not exist', Buffer.from(`${head}<META charset=klingon>${body}`)],
    ['UTF-16 that is not true', Buffer.from(`${head}<META charset="utf-16">${body}`)],
  ])('%s', async (_, bytes) => {
    expect(await readBytes([bytes])).toMatchObject([{ title: 'Žluťoučký kůň' }])
  })

  test('an old browser’s own code page', async () => {
    const meta = '<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=windows-1252">'
    const bytes = Buffer.from(`${head}${meta}<DT><A HREF="http://example.org">Caf\xe9 \x80</A>`, 'latin1')
    expect(await readBytes([bytes])).toMatchObject([{ title: 'Café €' }])
  })
})

describe('files that are no bookmark files', () => {
  test.each([
    ['an empty file', '', /is empty/],
    ['white space', ' \n\t ', /is empty/],
    ['JSON', '{"type": "text/x-moz-place"}', /not a bookmark file/],
    [
      'a page with links',
      '<html><body><a href="https://example.org/">x</a></body></html>',
      /not a bookmark file/,
    ],
    ['bytes', '\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff<DT>', /not a bookmark file/],
    [
      'a comment without an end',
      `<!DOCTYPE NETSCAPE-Bookmark-file-1><!--${'x'.repeat(3 << 20)}`,
      /does not end/,
    ],
  ])('%s', async (_, text, message) => {
    const pieces = text.match(/[^]{1,65536}/g) ?? []
    await expect(readBytes(pieces.map((piece) => Buffer.from(piece, 'latin1')))).rejects.toThrow(message)
  })
})

describe('hostile files', () => {
  const doctype = '<!DOCTYPE NETSCAPE-Bookmark-file-1>'

  test('a million lists in each other cost nothing', async () => {
    const found = await readBytes(
      chunks(`${doctype}${'<DL>'.repeat(1e6)}<DT><A HREF="http://a.example">a</A>${'</DL>'.repeat(1e6)}`),
    )
    expect(found).toHaveLength(1)
  })

  test('a path of folders without end stops growing, and its bookmarks stay', async () => {
    const found = await readBytes(
      chunks(
        doctype +
          '<DT><H3>name of a folder</H3><DL>'.repeat(50_000) +
          '<DT><A HREF="http://a.example">a</A>' +
          '</DL>'.repeat(50_000) +
          '<DT><A HREF="http://b.example">b</A>',
      ),
    )
    expect(found[0]!.folder.length).toBeGreaterThan(50)
    expect(Buffer.byteLength(found[0]!.folder.join(''))).toBeLessThan(2000)
    expect(found[1]!.folder).toEqual([])
  })

  test('texts and attributes are cut off, whole characters at a time', async () => {
    const long = '😀'.repeat(100_000)
    const found = await readBytes(
      chunks(
        `${doctype}<DT><A HREF="http://a.example" ICON="${'x'.repeat(5 << 20)}" TAGS="${long}">${long}</A><DD>${long}` +
          `<DT><A HREF="http://b.example/${'y'.repeat(10_000)}">too long an address</A>`,
      ),
    )
    expect([...found[0]!.title]).toHaveLength(1000)
    expect([...found[0]!.notes]).toHaveLength(20_000)
    expect([...found[0]!.tags[0]!]).toHaveLength(100)
    expect(found[0]!.title.isWellFormed()).toBe(true)
    expect(found[1]).toBeNull()
  })

  test('tags and attributes named like something of the language are nothing special', async () => {
    const strange = '<constructor><__proto__></constructor></toString><hasOwnProperty>'
    const [found] = await readBytes(
      chunks(
        `${doctype}${strange}<DT><A __proto__="x" constructor="y" HREF="http://a.example">a</A>${strange}`,
      ),
    )
    expect(found).toMatchObject({ url: 'http://a.example/', title: 'a' })
  })

  test('what Postgres cannot store is left out', async () => {
    const [found] = await readBytes(chunks(`${doctype}<DT><A HREF="http://a.example">a\0b&#0;&#xD800;</A>`))
    expect(found!.title).toBe('ab\ufffd\ufffd')
  })
})

async function read(file: string) {
  const stream = createReadStream(new URL(`exports/${file}`, import.meta.url))
  return Array.fromAsync(readBookmarkFile(stream, importedAt))
}

async function bookmark(file: string, url: string) {
  const found = (await read(file)).find((link) => link?.url.startsWith(url))
  if (!found) throw new Error(`${file} has no ${url}`)
  return found
}

async function readBytes(pieces: Iterable<Uint8Array>) {
  return Array.fromAsync(readBookmarkFile(toAsync(pieces), importedAt))
}

async function* toAsync<T>(items: Iterable<T>) {
  yield* items
}

function* chunks(text: string, size = 64 * 1024) {
  const bytes = Buffer.from(text)
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}
