import * as fc from 'fast-check'
import { parse, type DefaultTreeAdapterTypes } from 'parse5'
import { expect, test } from 'vitest'
import { webUrl } from '../src/domain/bookmark.ts'
import { ImportProblem } from '../src/domain/import-problem.ts'
import { readBookmarkFile } from '../src/domain/read-bookmark-file.ts'

const FILES = 10_000

/** What users write about pages, and programs forget to escape; separated by spaces. */
const scraps = `
  <script> </script> <style> <textarea> </textarea> <title> </title> <iframe> <noscript> <xmp> <plaintext>
  <svg> <math> <select> <template> <table> <td> <p> </p> <br/> <b> <ul><li>one </dd> </b </i <hr> <dt <dd <div> </div>
  <!-- --> <! <!doctype_html> <![CDATA[ ]]> <?php ?> </ < > <> </> <3 lo<hi a<b_and_c>d x_<y_z=" <img_alt=" <i_title='
  " ' = / & &lt &lt; &#x3c; &amp words ž 😀 \0 \ufffd _ ¶`
  .trim()
  .split(/ +|\n */)
  .map((scrap) => scrap.replaceAll('_', ' ').replaceAll('¶', '\n'))
const text = fc.array(fc.constantFrom(...scraps), { maxLength: 6 }).map((parts) => parts.join(''))

/** An attribute as programs write it: with one kind of quotes, or without. */
const attribute = fc
  .tuple(fc.constantFrom('TAGS', 'ICON', 'ADD_DATE', 'x', 'on<load'), text, fc.constantFrom('"', "'", ''))
  .map(([name, value, quote]) =>
    quote === ''
      ? `${name}=${value.replaceAll(/[\s"'<>=`]/g, '') || '0'}`
      : `${name}=${quote}${value.replaceAll(quote, '')}${quote}`,
  )

const link = fc
  .tuple(fc.array(attribute, { maxLength: 3 }), fc.nat({ max: 3 }), text, text, fc.boolean(), fc.boolean())
  .map(([attributes, place, title, note, isClosed, isNoted]) => (n: number) => {
    const written = attributes.toSpliced(place, 0, `HREF="https://example.org/${n}"`)
    return `<DT><A ${written.join(' ')}>${title}${isClosed ? '</A>' : ''}\n${isNoted ? `<DD>${note}\n` : ''}`
  })
const folder = fc.tuple(text, fc.boolean()).map(
  ([name, isClosed]) =>
    () =>
      `<DT><H3>${name}${isClosed ? '</H3>' : ''}\n<DL><p>\n`,
)
const item = fc.oneof(
  { weight: 6, arbitrary: link },
  { weight: 1, arbitrary: folder },
  { weight: 1, arbitrary: fc.constantFrom('</DL><p>\n', '<HR>', '</DL>').map((line) => () => line) },
)
const file = fc
  .array(item, { minLength: 1, maxLength: 8 })
  .map(
    (items) =>
      `<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n${items.map((write, n) => write(n)).join('')}</DL>\n`,
  )

test(`of ${FILES} hostile and sloppy files, no link that a browser finds is lost without a word`, async () => {
  let told = 0
  await fc.assert(
    fc.asyncProperty(file, fc.integer({ min: 1, max: 200 }), async (html, size) => {
      const found = new Set<string>()
      let isTold = false
      try {
        for await (const link of readBookmarkFile(pieces(html, size), new Date()))
          if (link) found.add(link.url)
      } catch (error) {
        if (!(error instanceof ImportProblem)) throw error
        isTold = true
        told++
      }
      const lost = [...findLinks(html)].filter((url) => !found.has(url))
      expect(isTold ? [] : lost).toEqual([])
    }),
    { numRuns: FILES },
  )
  // If every file were refused, no link would be lost either.
  expect(told).toBeLessThan(FILES / 2)
}, 120_000)

/** The URLs of all links in the document that a browser would make of a file. */
function findLinks(html: string): Set<string> {
  const found = new Set<string>()
  const waiting: DefaultTreeAdapterTypes.Node[] = [parse(html)]
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if ('content' in node) waiting.push(node.content)
    if ('childNodes' in node) waiting.push(...node.childNodes)
    if (!('tagName' in node) || node.tagName !== 'a') continue
    const url = webUrl(node.attrs.find(({ name }) => name === 'href')?.value ?? '')
    if (url !== null) found.add(url)
  }
  return found
}

async function* pieces(html: string, size: number): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(html)
  for (let start = 0; start < bytes.length; start += size) yield bytes.subarray(start, start + size)
}
