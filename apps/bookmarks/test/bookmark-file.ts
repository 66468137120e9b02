const linksPerFolder = 100
const icon = `data:image/png;base64,${'iVBORw0KGgoAAAANSUhEUgAAABAAAAAQ'.repeat(8)}`

/** A bookmark file of any size. Each link has what a browser writes: folder, date, tags, icon and note. */
export function bookmarkFile(links: number): string {
  return [...bookmarkFilePieces(links)].join('')
}

/** The same, piece by piece. */
export function* bookmarkFilePieces(links: number): Generator<string> {
  yield '<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<TITLE>Bookmarks</TITLE>\n<H1>Bookmarks</H1>\n<DL><p>\n'
  for (let first = 0; first < links; first += linksPerFolder) {
    yield `    <DT><H3>Folder ${first / linksPerFolder}</H3>\n    <DL><p>\n`
    const count = Math.min(linksPerFolder, links - first)
    yield Array.from({ length: count }, (_, index) => writeLink(first + index)).join('')
    yield '    </DL><p>\n'
  }
  yield '</DL><p>\n'
}

function writeLink(n: number): string {
  const url = `https://example-${n % 977}.org/articles/${n}?page=1&amp;sort=title`
  const attributes = `ADD_DATE="${1_400_000_000 + n}" ICON="${icon}" TAGS="tag ${n % 50},all"`
  return `        <DT><A HREF="${url}" ${attributes}>Title number ${n}</A>\n        <DD>A note on it,\nof two lines\n`
}
