/** The fields that a user sets through the API, and a browser through a bookmark file. */
export interface BookmarkFields {
  url: string
  title: string
  notes: string
  tags: string[]
}

/** A bookmark with what only a file tells: its folder and its date. */
export interface FiledBookmark extends BookmarkFields {
  /** The names of the folders around it, outermost first. */
  folder: string[]
  /** In whole seconds. */
  createdAt: Date
}

/**
 * Lengths in characters (Unicode code points); `tags` is a number of tags. The API refuses what is longer. A file may have
 * more: a link with a longer URL is skipped, and the rest is cut off.
 */
export const limits = { url: 8192, title: 1000, notes: 20_000, tag: 100, tags: 100 }

/** Folder paths are in an index, whose entries have at most 2.7 kB. */
const maxFolderBytes = 2000

/**
 * The URL as it is stored and compared: normalized by the URL standard, and nothing more. `HTTP://Example.com` and
 * `http://example.com/` are one bookmark; with and without `www.` or a fragment they are two. Null when it is no http(s)
 * URL, or too long.
 */
export function webUrl(text: string): string | null {
  const url = URL.parse(text)
  if (url?.protocol !== 'http:' && url?.protocol !== 'https:') return null
  return url.href.length <= limits.url ? url.href : null
}

/** A text on one line: titles and folder names. */
export function tidyLine(text: string, maxLength: number = limits.title): string {
  // This reads each run of spaces once. /\s*\n\s*/ would start again at every space of it.
  const line = storable(text).replace(/\s+/g, (space) => (/[\n\t]/.test(space) ? ' ' : space))
  return cut(line.trim(), maxLength)
}

/** Notes keep their line breaks and their indentation. */
export function tidyNotes(text: string): string {
  return cut(storable(text).trim(), limits.notes)
}

/** Each tag once, in the order given. */
export function tidyTags(tags: readonly string[]): string[] {
  const tidy = tags.map((tag) => cut(storable(tag).replace(/\s+/g, ' ').trim(), limits.tag))
  return [...new Set(tidy)].filter((tag) => tag !== '').slice(0, limits.tags)
}

/** The path of `name` inside `parent`; `parent` itself if the name is empty or the path would become too long. */
export function subfolder(parent: string[], name: string): string[] {
  const tidy = tidyLine(name)
  const path = [...parent, tidy]
  // Postgres stores four bytes of length and up to three of padding with each name.
  const bytes = path.reduce((sum, name) => sum + Buffer.byteLength(name) + 7, 0)
  return tidy === '' || bytes > maxFolderBytes ? parent : path
}

/** A time in whole seconds, the precision of a bookmark file. */
export function wholeSecond(time: number): Date {
  return new Date(Math.floor(time / 1000) * 1000)
}

/** Postgres stores no NUL and no half of a surrogate pair. Line ends become `\n`. */
function storable(text: string): string {
  return text.replaceAll('\0', '').replace(/\r\n?/g, '\n').toWellFormed()
}

function cut(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text
  return Array.from(text.slice(0, 2 * maxLength))
    .slice(0, maxLength)
    .join('')
    .trimEnd()
}
