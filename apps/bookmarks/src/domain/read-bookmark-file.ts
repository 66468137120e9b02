import {
  limits,
  subfolder,
  tidyLine,
  tidyNotes,
  tidyTags,
  webUrl,
  wholeSecond,
  type FiledBookmark,
} from './bookmark.ts'
import { decodeText } from './decode-text.ts'
import { ImportProblem } from './import-problem.ts'
import { createTagReader } from './read-tags.ts'

/** While a title, note or attribute is read, no more characters of it are kept. Leaves room for what tidying removes. */
const maxTextLength = 4 * limits.notes

/** A link with a date further in the future than this gets the date of its import: clocks are not that wrong. */
const clockSkewMs = 24 * 60 * 60 * 1000

/**
 * Reads a bookmark file ("Netscape bookmark file") and yields one item per link, in order: the bookmark, or null for a link
 * that cannot be one, such as Firefox's `place:` queries and bookmarklets. Memory does not grow with the file.
 *
 * The format is what browsers write, not a standard: almost no tag is closed, `<P>` means nothing, and a note (`<DD>`)
 * belongs to the link or folder before it. So the reader follows the tags in order and builds no tree.
 *
 * @param tagsByComma the result of `separatesByComma`: a tag may have several words. If false, each list of tags is judged
 *   alone.
 * @param importedAt the date of links that have no date, or an impossible one.
 * @throws ImportProblem when the file is empty, is no bookmark file, or has a tag or a comment that does not end.
 * @see https://learn.microsoft.com/previous-versions/windows/internet-explorer/ie-developer/platform-apis/aa753582(v=vs.85)
 */
export async function* readBookmarkFile(
  source: AsyncIterable<Uint8Array>,
  importedAt: Date,
  { tagsByComma = false }: { tagsByComma?: boolean } = {},
): AsyncGenerator<FiledBookmark | null> {
  const found: (FiledBookmark | null)[] = []
  const state = createReaderState((link) => found.push(toBookmark(link, importedAt, tagsByComma)))
  const reader = createTagReader(state, { attributes: linkAttributes, maxLength: maxTextLength })
  let isEmpty = true

  for await (const text of decodeText(source)) {
    isEmpty &&= text.trim() === ''
    reader.write(text)
    yield* found.splice(0)
  }
  const { unreadFromLine } = reader.end()
  state.end()
  yield* found.splice(0)

  if (isEmpty) throw new ImportProblem('The file is empty.')
  if (!state.isBookmarkFile()) {
    throw new ImportProblem(
      'This is not a bookmark file. In your browser, export the bookmarks as HTML and import that file.',
    )
  }
  if (unreadFromLine !== null) {
    throw new ImportProblem(
      `The file ends inside a tag or a comment that begins in line ${unreadFromLine}. What stands before it was imported, and ` +
        'nothing after it.',
    )
  }
}

/** Whether any list of tags in the file has a comma. Stops reading at the first one. */
export async function separatesByComma(source: AsyncIterable<Uint8Array>): Promise<boolean> {
  let isFound = false
  const reader = createTagReader(
    {
      onDeclaration() {},
      onTag: (name, { tags = '' }) => void (isFound ||= name === 'a' && tags.includes(',')),
      onEndTag() {},
      onText() {},
    },
    { attributes: new Set(['tags']), maxLength: maxTextLength },
  )
  for await (const text of decodeText(source)) {
    reader.write(text)
    if (isFound) return true
  }
  return false
}

const linkAttributes: ReadonlySet<string> = new Set([
  'href',
  'add_date',
  'last_modified',
  'time_added',
  'tags',
  'description',
])

/** Tags that separate the words of a note. */
const blocks = ['p', 'div', 'ul', 'ol', 'li', 'blockquote', 'pre', 'tr', 'h1', 'h2', 'h4', 'h5', 'h6']

/** Browsers read the content of these tags as plain text. In a note or a title, a user wrote them about a page. */
const written = [
  'script',
  'style',
  'textarea',
  'title',
  'iframe',
  'noembed',
  'noframes',
  'noscript',
  'xmp',
  'plaintext',
]

interface Link {
  attributes: Record<string, string>
  folder: string[]
  title: string
  notes: string
}

/** The position in the file: the open folders, and the text that is being collected. */
function createReaderState(onLink: (link: Link) => void) {
  let isBookmarkFile = false
  let lastTag = ''

  let link: Link | null = null
  let collecting: 'title' | 'notes' | 'folder name' | null = null
  let text = ''

  let folderName = ''
  // `lists` counts the <DL> in one folder that open no other folder, so that depth alone takes no memory.
  const folders: { path: string[]; lists: number }[] = []

  function collect(what: typeof collecting): void {
    if (collecting === 'folder name') folderName = text
    else if (collecting && link) link[collecting] = text
    collecting = what
    text = ''
  }

  function append(piece: string): void {
    if (collecting && text.length < maxTextLength) text += piece
  }

  function breakLine(): void {
    if (collecting === 'notes' && text !== '' && !text.endsWith('\n')) append('\n')
  }

  function endLink(): void {
    collect(null)
    if (link) onLink(link)
    link = null
  }

  const begin: Record<string, (attributes: Record<string, string>) => void> = {
    a(attributes) {
      // Pocket's file is an ordinary page, but only its links have this attribute.
      if (attributes['time_added']) isBookmarkFile = true
      // Some services keep markup in notes: a link in a note is not a bookmark.
      if (collecting === 'notes' || !isBookmarkFile) return
      endLink()
      link = { attributes, folder: folders.at(-1)?.path ?? [], title: '', notes: '' }
      folderName = ''
      collect('title')
    },
    h3() {
      endLink()
      collect('folder name')
    },
    dl() {
      endLink()
      const parent = folders.at(-1)
      const path = subfolder(parent?.path ?? [], folderName)
      if (parent?.path === path) parent.lists++
      else folders.push({ path, lists: 1 })
      folderName = ''
    },
    dt: endLink,
    hr: endLink,
    dd: () => collect('notes'),
    br: () => append('\n'),
    ...Object.fromEntries(blocks.map((name) => [name, breakLine])),
    ...Object.fromEntries(written.map((name) => [name, () => append(`<${name}>`)])),
  }

  const end: Record<string, () => void> = {
    a: () => collecting === 'title' && collect(null),
    h3: () => collecting === 'folder name' && collect(null),
    dd: () => collect(null),
    dl() {
      endLink()
      const folder = folders.at(-1)
      if (folder && --folder.lists === 0) folders.pop()
    },
    ...Object.fromEntries(blocks.map((name) => [name, breakLine])),
    ...Object.fromEntries(written.map((name) => [name, () => append(`</${name}>`)])),
  }

  return {
    onDeclaration(text: string): void {
      if (/^doctype\s+netscape-bookmark-file/i.test(text)) isBookmarkFile = true
    },
    onTag(name: string, attributes: Record<string, string>): void {
      // Google's export has no doctype, but entries begin like this in every bookmark file.
      if (lastTag === 'dt' && (name === 'a' || name === 'h3')) isBookmarkFile = true
      lastTag = name
      begin[name]?.(attributes)
    },
    onEndTag: (name: string): void => end[name]?.(),
    onText: append,
    end: endLink,
    isBookmarkFile: () => isBookmarkFile,
  }
}

function toBookmark(
  { attributes, folder, title, notes }: Link,
  importedAt: Date,
  tagsByComma: boolean,
): FiledBookmark | null {
  const url = webUrl(attributes['href'] ?? '')
  if (url === null) return null
  return {
    url,
    title: tidyLine(title),
    notes: tidyNotes(notes) || tidyNotes(attributes['description'] ?? ''),
    tags: tidyTags(splitTags(attributes['tags'] ?? '', tagsByComma)),
    folder,
    createdAt: readDate(
      attributes['add_date'] || attributes['time_added'] || attributes['last_modified'] || '',
      importedAt,
    ),
  }
}

/** Most files use commas. A file that separates tags by spaces has no comma at all. */
function splitTags(text: string, byComma: boolean): string[] {
  return byComma || text.includes(',') ? text.split(',') : text.split(/\s+/)
}

/** From the beginning of 1601, where WebKit and Chrome start to count microseconds, to the beginning of 1970. */
const msFrom1601 = 11_644_473_600_000

/** Browsers write seconds, others milliseconds, Google microseconds, WebKit those since 1601, a few a date in words. */
function readDate(text: string, importedAt: Date): Date {
  const number = Number(text)
  const time = Number.isNaN(number)
    ? Date.parse(text.replace(/^(\d+\/\w+\/\d+):/, '$1 '))
    : number < 1e16
      ? number * (number < 1e11 ? 1000 : number < 1e14 ? 1 : 0.001)
      : number / 1000 - msFrom1601
  const makesSense = time > 0 && time < importedAt.getTime() + clockSkewMs
  return wholeSecond(makesSense ? time : importedAt.getTime())
}
