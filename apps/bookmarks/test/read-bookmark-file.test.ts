import { createReadStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { describe, expect, test } from 'vitest'
import { formatFolderPath } from '../src/domain/folder-path.ts'
import { readBookmarkFile, separatesByComma } from '../src/domain/read-bookmark-file.ts'

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
    expect(found[2]).toMatchObject({ title: 'Secret', tags: ['private secret'] })
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

// Each is based on a public bug report of another reader: see exports/README.md.
describe('what other readers were reported to get wrong', () => {
  test('a lone tag of two words is one, in a file that separates by commas', async () => {
    const found = await read('cases/q01-one-tag-of-two-words.html')
    expect(found.map((link) => link?.tags)).toEqual([['city maps'], ['city maps', 'travel']])
  })

  test.each([
    ['q02-script-not-closed-in-note', 'notes', 'How to load a page faster: put the <script> tag last'],
    ['q03-textarea-not-closed-in-note', 'notes', 'An editor that takes the place of any <textarea> field'],
    ['q04-title-element-in-title', 'title', 'The <title> element of a page'],
    ['q06-less-than-in-note', 'notes', 'The search stops as soon as lo<hi no longer holds'],
    ['q16-comment-not-closed-in-note', 'notes', 'A comment begins with <!-- in a page'],
  ] as const)('%s: every entry is read, and the %s says %o', async (file, field, text) => {
    const found = await read(`cases/${file}.html`)
    const source = await readFile(new URL(`exports/cases/${file}.html`, import.meta.url), 'utf8')
    expect(found.map((link) => link?.url)).toEqual(source.match(/(?<=HREF=")[^"]+/g))
    expect(found.map((link) => link?.[field])).toContain(text)
    expect(found.flatMap((link) => link!.folder)).toEqual(source.includes('<H3>') ? ['Folder'] : [])
  })

  test('paragraphs and list items of a note stand apart', async () => {
    const [found] = await read('cases/q13-note-of-paragraphs.html')
    expect(found!.notes).toBe('First paragraph.\nSecond paragraph.\napples\npears')
  })

  test.each([
    ['a comment', '<DD>ends in <!-- a comment'],
    ['a tag', '<DD>ends in <img alt="a picture'],
    ['a long tag', `<DD>ends in <img alt="${'a picture\n'.repeat(10_000)}`],
    ['a link', '<DT><A HREF="https://example.org/whol'],
  ])('%s that the file ends in is told, with its line', async (_, end) => {
    const found: unknown[] = []
    const file = async () => {
      const text = `<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DT><A HREF="http://a.example">a</A>\n${end}`
      for await (const link of readBookmarkFile(toAsync(chunks(text)), importedAt)) found.push(link)
    }
    await expect(file()).rejects.toThrow(/begins in line 3/)
    expect(found).toMatchObject([{ url: 'http://a.example/' }])
  })

  test('dates since 1601, and those of the last change alone', async () => {
    for (const attribute of ['ADD_DATE="13305513600000000"', 'LAST_MODIFIED="1661040000"']) {
      const [link] = await readBytes([Buffer.from(`<DT><A HREF="http://a.example" ${attribute}>a</A>`)])
      expect(link!.createdAt).toEqual(new Date('2022-08-21T00:00:00Z'))
    }
  })

  test('Pocket writes a page of links', async () => {
    const file = `<!DOCTYPE html><html><head><title>Pocket Export</title></head><body><h1>Unread</h1><ul>
      <li><a href="https://one.example/" time_added="1661040000" tags="a,b c">One</a></li></ul></body></html>`
    expect(await readBytes([Buffer.from(file)])).toMatchObject([
      { title: 'One', tags: ['a', 'b c'], createdAt: new Date('2022-08-21T00:00:00Z') },
    ])
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

  test.each([1, 2, 3, 1000])('a code page that is not named, in pieces of %i bytes', async (size) => {
    const bytes = Buffer.from(`${head}<DT><A HREF="http://example.org">Caf\xe9 \x80</A>`, 'latin1')
    expect(await readBytes(pieces(bytes, size))).toMatchObject([{ title: 'Café €' }])
    const utf8 = Buffer.from(head + body)
    expect(await readBytes(pieces(utf8, size))).toMatchObject([{ title: 'Žluťoučký kůň' }])
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
  return Array.fromAsync(open(file))
}

/** Reads the file twice, as the import does. */
async function* open(file: string) {
  const stream = () => createReadStream(new URL(`exports/${file}`, import.meta.url))
  yield* readBookmarkFile(stream(), importedAt, { tagsByComma: await separatesByComma(stream()) })
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

function chunks(text: string) {
  return pieces(Buffer.from(text), 64 * 1024)
}

function* pieces(bytes: Buffer, size: number) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}
