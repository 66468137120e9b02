import * as fc from 'fast-check'
import { createReadStream } from 'node:fs'
import { expect, test } from 'vitest'
import {
  subfolder,
  tidyLine,
  tidyNotes,
  tidyTags,
  webUrl,
  wholeSecond,
  type FiledBookmark,
} from '../src/domain/bookmark.ts'
import { readBookmarkFile } from '../src/domain/read-bookmark-file.ts'
import { writeBookmarkFile } from '../src/domain/write-bookmark-file.ts'

const importedAt = new Date('2026-01-02T03:04:05Z')

test('a written file opens each folder once, inside its parents', async () => {
  const file = await write([
    [link('http://a/', []), link('http://b/', ['Dev'])],
    [link('http://c/', ['Dev', 'PHP']), link('http://d/', ['Dev', 'Python']), link('http://e/', ['Éa'])],
  ])
  expect(file.slice(file.indexOf('<DL>'))).toMatchInlineSnapshot(`
    "<DL><p>
        <DT><A HREF="http://a/" ADD_DATE="1466009412" TAGS="two words,">T &amp; &lt;b&gt;&quot;</A>
        <DD>one
    two
        <DT><H3>Dev</H3>
        <DL><p>
            <DT><A HREF="http://b/" ADD_DATE="1466009412" TAGS="two words,">T &amp; &lt;b&gt;&quot;</A>
            <DD>one
    two
            <DT><H3>PHP</H3>
            <DL><p>
                <DT><A HREF="http://c/" ADD_DATE="1466009412" TAGS="two words,">T &amp; &lt;b&gt;&quot;</A>
                <DD>one
    two
            </DL><p>
            <DT><H3>Python</H3>
            <DL><p>
                <DT><A HREF="http://d/" ADD_DATE="1466009412" TAGS="two words,">T &amp; &lt;b&gt;&quot;</A>
                <DD>one
    two
            </DL><p>
        </DL><p>
        <DT><H3>Éa</H3>
        <DL><p>
            <DT><A HREF="http://e/" ADD_DATE="1466009412" TAGS="two words,">T &amp; &lt;b&gt;&quot;</A>
            <DD>one
    two
        </DL><p>
    </DL><p>
    "
  `)
})

test('what is written reads back the same, wherever the file is cut into pieces', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(bookmarks(), { maxLength: 20 }),
      fc.integer({ min: 1, max: 200 }),
      async (given, size) => {
        const file = Buffer.from(await write([given]))
        expect(await read(pieces(file, size))).toEqual(given)
      },
    ),
    { numRuns: 300 },
  )
})

test.each([
  'real/chromium_nested.htm',
  'real/firefox_nested.htm',
  'real/netscape_multiline.htm',
  'written/sloppy.html',
])('what was read from %s is the same after being written and read again', async (file) => {
  const stream = createReadStream(new URL(`exports/${file}`, import.meta.url))
  const given = (await read(stream)).filter((link) => link !== null)
  expect(await read(pieces(Buffer.from(await write([given])), 1000))).toEqual(given)
})

function link(url: string, folder: string[]): FiledBookmark {
  const createdAt = new Date(1466009412000)
  return { url, title: 'T & <b>"', notes: 'one\ntwo', tags: ['two words'], folder, createdAt }
}

/** Any bookmark that domain/bookmark.ts allows, often with characters that are special in HTML. */
function bookmarks(): fc.Arbitrary<FiledBookmark> {
  const text = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc
      .array(
        fc.constantFrom(
          '<DT>',
          '<A HREF="x">',
          '</DL>',
          '&amp;',
          '&',
          '"',
          '<',
          '\n',
          '\r\n',
          ' ',
          'a',
          '/',
          '\\',
          '\0',
        ),
      )
      .map((parts) => parts.join('')),
  )
  return fc.record({
    url: fc.webUrl({ withQueryParameters: true, withFragments: true }).map((url) => webUrl(url)!),
    title: text.map((title) => tidyLine(title)),
    notes: text.map(tidyNotes),
    tags: fc.array(text.map((tag) => tag.replaceAll(',', ''))).map(tidyTags),
    folder: fc.array(text, { maxLength: 4 }).map((names) => names.reduce<string[]>(subfolder, [])),
    createdAt: fc
      .integer({ min: 1, max: importedAt.getTime() / 1000 })
      .map((seconds) => wholeSecond(seconds * 1000)),
  })
}

async function write(batches: FiledBookmark[][]): Promise<string> {
  return (await Array.fromAsync(writeBookmarkFile(batches))).join('')
}

async function read(source: AsyncIterable<Uint8Array>) {
  return Array.fromAsync(readBookmarkFile(source, importedAt))
}

async function* pieces(bytes: Buffer, size: number) {
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}
