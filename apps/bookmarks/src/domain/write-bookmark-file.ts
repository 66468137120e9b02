import type { FiledBookmark } from './bookmark.ts'

/**
 * A bookmark file that browsers read. {@link readBookmarkFile} reads the same bookmarks from it.
 * @param batches sorted by folder, so that each folder is opened once.
 */
export async function* writeBookmarkFile(
  batches: AsyncIterable<readonly FiledBookmark[]> | Iterable<readonly FiledBookmark[]>,
): AsyncGenerator<string> {
  yield head
  let folder: readonly string[] = []
  for await (const batch of batches) {
    let text = ''
    for (const bookmark of batch) {
      text += writeFolders(folder, bookmark.folder) + writeLink(bookmark)
      folder = bookmark.folder
    }
    yield text
  }
  yield writeFolders(folder, []) + '</DL><p>\n'
}

const head = `<!DOCTYPE NETSCAPE-Bookmark-file-1>
<!-- This is an automatically generated file.
     It will be read and overwritten.
     DO NOT EDIT! -->
<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=UTF-8">
<TITLE>Bookmarks</TITLE>
<H1>Bookmarks</H1>
<DL><p>
`

/** Closes the folders of `from` that do not contain `to`, and opens the missing folders of `to`. */
function writeFolders(from: readonly string[], to: readonly string[]): string {
  let shared = 0
  while (shared < from.length && from[shared] === to[shared]) shared++

  const closed = from.slice(shared).map((_, index) => `${indent(from.length - index)}</DL><p>\n`)
  const opened = to.slice(shared).map((name, index) => {
    const space = indent(shared + index + 1)
    return `${space}<DT><H3>${escape(name)}</H3>\n${space}<DL><p>\n`
  })
  return closed.join('') + opened.join('')
}

function writeLink({ url, title, notes, tags, folder, createdAt }: FiledBookmark): string {
  const space = indent(folder.length + 1)
  const tagged = tags.length > 0 ? ` TAGS="${escape(joinTags(tags))}"` : ''
  const noted = notes === '' ? '' : `${space}<DD>${escape(notes)}\n`
  return `${space}<DT><A HREF="${escape(url)}" ADD_DATE="${createdAt.getTime() / 1000}"${tagged}>${escape(title)}</A>\n${noted}`
}

/** Without the comma at the end, a single tag of two words would be read as two tags. */
function joinTags(tags: readonly string[]): string {
  return tags.length === 1 && /\s/.test(tags[0]!) ? `${tags[0]},` : tags.join(',')
}

function indent(depth: number): string {
  return '    '.repeat(depth)
}

/** One pass for each character: a function call for each match takes ten times as long, and a note may have many. */
function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
}
