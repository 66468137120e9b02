import { expectLinear, listTextFunctions } from '@repo/testing/expect-linear'
import { expect, test } from 'vitest'
import { limits, subfolder, tidyLine, tidyNotes, tidyTags, webUrl } from '../src/domain/bookmark.ts'
import { parseCursor } from '../src/domain/cursor.ts'
import { formatFolderPath } from '../src/domain/folder-path.ts'
import { createAddressCheck } from '../src/domain/public-address.ts'
import { readBookmarkFile } from '../src/domain/read-bookmark-file.ts'
import { addSearch } from '../src/domain/recent-searches.ts'
import { writeBookmarkFile } from '../src/domain/write-bookmark-file.ts'

const byName: Record<string, (text: string) => unknown> = {
  addSearch: (text) => addSearch([text], text),
  createAddressCheck: (text) => createAddressCheck([text]),
  formatFolderPath: (text) => formatFolderPath([text]),
  parseCursor,
  subfolder: (text) => subfolder([], text),
  tidyLine,
  tidyNotes,
  tidyTags: (text) => [tidyTags([text]), tidyTags(text.split(','))],
  webUrl: (text) => [webUrl(text), webUrl(`http://${text}`), webUrl(`http://a/${text}`)],
}

test.each(Object.entries(byName))('the work of %s grows with its text, and not faster', async (_, work) => {
  await expectLinear(work)
})

test('no function that takes a text is missing above', async () => {
  const found = await listTextFunctions(new URL('../src/domain/', import.meta.url))
  expect(Object.keys(byName)).toEqual(expect.arrayContaining(found.filter((name) => name !== 'fetchFile')))
})

const HEAD = '<!DOCTYPE NETSCAPE-Bookmark-file-1><DL><p>'

/** A file in pieces, as it arrives. */
async function* file(text: string): AsyncGenerator<Uint8Array> {
  const bytes = Buffer.from(text)
  for (let at = 0; at < bytes.length; at += 16 * 1024) yield bytes.subarray(at, at + 16 * 1024)
}

test.each([
  ['anything', (text: string) => text],
  ['after its head', (text: string) => HEAD + text],
  ['a title', (text: string) => `${HEAD}<DT><A HREF="http://a/">${text}</A>`],
  ['a folder', (text: string) => `${HEAD}<DT><H3>${text}</H3><DL><p></DL>`],
  ['a note', (text: string) => `${HEAD}<DT><A HREF="http://a/">a</A><DD>${text}`],
  ['an address', (text: string) => `${HEAD}<DT><A HREF="http://${text}">a</A>`],
  ['a date', (text: string) => `${HEAD}<DT><A HREF="http://a/" ADD_DATE="${text}">a</A>`],
  ['tags', (text: string) => `${HEAD}<DT><A HREF="http://a/" TAGS="${text}">a</A>`],
  ['an attribute', (text: string) => `${HEAD}<DT><A HREF="http://a/" ${text}>a</A>`],
  ['a tag', (text: string) => `${HEAD}<${text}>`],
])('the work of reading a file that is, or has in it, %s grows with it', async (_, write) => {
  const read = async (text: string) => {
    for await (const _link of readBookmarkFile(file(write(text)), new Date())) continue
  }
  await expectLinear(read)
})

async function writeFile(text: string): Promise<void> {
  const bookmark = {
    url: text,
    title: text,
    notes: text,
    tags: [text],
    folder: [text],
    createdAt: new Date(),
  }
  for await (const _piece of writeBookmarkFile([[bookmark, bookmark]])) continue
}

test('the work of writing a file grows with it', async () => {
  await expectLinear(writeFile, { maxLength: limits.notes })
})
