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

/** Of a title, note or attribute no more is kept while it is read; room for what tidying takes away. */
const maxTextLength = 4 * limits.notes

/** A link that claims to be from further in the future than clocks go wrong is as old as its import. */
const clockSkewMs = 24 * 60 * 60 * 1000

/**
 * Reads a bookmark file ("Netscape bookmark file") and yields one item per link in it, in order: the bookmark, or null for a
 * link that cannot be one, such as Firefox's `place:` queries and bookmarklets. Memory does not grow with the file.
 *
 * The format is what browsers write, not a standard: hardly a tag is closed, `<P>` means nothing, and a note (`<DD>`) belongs
 * to the link or folder before it. So this follows the tags as they come and builds no tree.
 *
 * @param importedAt is the age of links whose own is missing or makes no sense.
 * @throws ImportProblem when it is no bookmark file.
 * @see https://learn.microsoft.com/previous-versions/windows/internet-explorer/ie-developer/platform-apis/aa753582(v=vs.85)
 */
export async function* readBookmarkFile(
  source: AsyncIterable<Uint8Array>,
  importedAt: Date,
): AsyncGenerator<FiledBookmark | null> {
  const found: (FiledBookmark | null)[] = []
  const state = createReaderState((link) => found.push(toBookmark(link, importedAt)))
  const reader = createTagReader(state, { attributes: linkAttributes, maxLength: maxTextLength })
  let isEmpty = true

  for await (const text of decodeText(source)) {
    isEmpty &&= text.trim() === ''
    reader.write(text)
    yield* found.splice(0)
  }
  reader.end()
  state.end()
  yield* found.splice(0)

  if (isEmpty) throw new ImportProblem('The file is empty.')
  if (!state.isBookmarkFile()) {
    throw new ImportProblem(
      'This is not a bookmark file. In your browser, export the bookmarks as HTML and import that file.',
    )
  }
}

const linkAttributes: ReadonlySet<string> = new Set(['href', 'add_date', 'tags', 'description'])

interface Link {
  attributes: Record<string, string>
  folder: string[]
  title: string
  notes: string
}

/** Where in the file we are: inside which folders, and which text is being collected for what. */
function createReaderState(onLink: (link: Link) => void) {
  let isBookmarkFile = false
  let lastTag = ''

  let link: Link | null = null
  let collecting: 'title' | 'notes' | 'folder name' | null = null
  let text = ''

  let folderName = ''
  // `lists` counts the <DL> that stand in one folder without opening another, so that depth alone takes no memory.
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

  function endLink(): void {
    collect(null)
    if (link) onLink(link)
    link = null
  }

  const begin: Record<string, (attributes: Record<string, string>) => void> = {
    a(attributes) {
      // Some services keep markup in notes: a link there is a part of the note, not a bookmark.
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
  }

  return {
    onDeclaration(text: string): void {
      if (/^doctype\s+netscape-bookmark-file/i.test(text)) isBookmarkFile = true
    },
    onTag(name: string, attributes: Record<string, string>): void {
      // Google's export has no doctype, but entries begin like this in every one.
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

function toBookmark({ attributes, folder, title, notes }: Link, importedAt: Date): FiledBookmark | null {
  const url = webUrl(attributes['href'] ?? '')
  if (url === null) return null
  return {
    url,
    title: tidyLine(title),
    notes: tidyNotes(notes) || tidyNotes(attributes['description'] ?? ''),
    tags: tidyTags(splitTags(attributes['tags'] ?? '')),
    folder,
    createdAt: readDate(attributes['add_date'] ?? '', importedAt),
  }
}

/** Most write commas; those who separate by spaces use no comma at all. */
function splitTags(text: string): string[] {
  return text.includes(',') ? text.split(',') : text.split(/\s+/)
}

/** Browsers write seconds, others milliseconds, Google microseconds, a few a date in words. */
function readDate(text: string, importedAt: Date): Date {
  const number = Number(text)
  const time = Number.isNaN(number)
    ? Date.parse(text.replace(/^(\d+\/\w+\/\d+):/, '$1 '))
    : number * (number < 1e11 ? 1000 : number < 1e14 ? 1 : 0.001)
  const makesSense = time > 0 && time < importedAt.getTime() + clockSkewMs
  return wholeSecond(makesSense ? time : importedAt.getTime())
}
