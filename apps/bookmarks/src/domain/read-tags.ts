import { Tokenizer } from 'htmlparser2'
import { ImportProblem } from './import-problem.ts'

/** Gets the parts of a file in order. Names are lower case; entities are decoded. */
export interface TagHandler {
  onDeclaration(text: string): void
  /** `attributes` holds the wanted attributes of a link. Other tags have none. */
  onTag(name: string, attributes: Record<string, string>): void
  onEndTag(name: string): void
  onText(text: string): void
}

/** The wanted attributes of links, and the length in characters at which each is cut off. */
export interface Wanted {
  attributes: ReadonlySet<string>
  maxLength: number
}

/** No bookmark file has a longer name, comment or declaration. */
const maxTokenLength = 1024 * 1024

/** Characters that are read at once. For each character of any file, at most so many are read again. */
const partLength = 1024

/** What looks like a tag is kept up to this length, because it may be text, as in `while lo<hi holds`. */
const maxDoubtLength = 4096

/** How an entry of a bookmark file begins; `entryLength` is the length of the longest beginning. */
const entry = /<(?:a|dt|h3|\/?dl)[\s>/]/i
const entryLength = '</dl>'.length
const tagBegins = /[a-z/]/i
/** What ends the tag of a link that has no `>`. */
const afterLink = /^<(?:\/|(?:a|dt|h3|dl)[\s>/])/i

/**
 * Reads HTML tag by tag, even where tags are missing or overlap. The Parser of htmlparser2 would keep every open tag and the
 * whole of every attribute, so a hostile file would decide how much memory it takes. Its Tokenizer keeps nothing, and this
 * reader keeps at most one token.
 *
 * It differs from browsers where they would lose entries, and reads as text what looked like a tag:
 *
 * - `<script>`, `<textarea>`, `<title>` and the like are ordinary tags: unclosed in a note they would swallow the rest of
 *   the file.
 * - A `<` in a tag begins another tag, as in `lo<hi`. In the tag of a link only the next entry does.
 * - So does the last `<` in what browsers skip, as in `</b <dt>` and `<! <dt>`.
 * - A comment ends at the next `>`: a comment without an end, in a note about HTML, would also swallow the rest of the file.
 * - An entry inside a quoted value is an entry: the quote was never closed.
 *
 * @throws ImportProblem from `write` when a token has no end.
 */
export function createTagReader(
  handler: TagHandler,
  { attributes: wanted, maxLength }: Wanted,
): { write(piece: string): void; end(): { unreadFromLine: number | null } } {
  // The part of the file that is still needed. Offsets count from where the present tokenizer began.
  let window = ''
  let windowStart = 0
  let consumed = 0
  let lines = 1

  // The beginning of the tag whose attributes are being read; null between tags.
  let tagStart: number | null = null
  // The line of that tag, once it is too long to be kept.
  let tagLine: number | null = null
  let tag = ''
  let attributes: Record<string, string> = {}
  let attribute: string | null = null
  // The end of the name of an end tag whose `>` must still come.
  let endTagRest: number | null = null

  let restartFrom: number | null = null
  let tokenizer = openTokenizer()

  function take(start: number, end: number): string {
    pass(end)
    return window.slice(start - windowStart, end - windowStart)
  }
  function pass(end: number): void {
    if (restartFrom !== null) return
    const isInDoubt = tagStart !== null && end - tagStart <= maxDoubtLength
    if (tagStart !== null && !isInDoubt) tagLine ??= lineOf(tagStart)
    consumed = Math.max(consumed, isInDoubt ? tagStart! : end)
  }
  function lineOf(position: number): number {
    return lines + countLines(window.slice(0, position - windowStart))
  }
  function drop(end: number): void {
    lines = lineOf(end)
    window = window.slice(end - windowStart)
    windowStart = end
  }

  /** Everything before `start` was text. The tokenizer is still in its own function, so it is only paused. */
  function restart(start: number): void {
    const textStart = tagStart ?? consumed
    if (textStart >= windowStart) handler.onText(window.slice(textStart - windowStart, start - windowStart))
    restartFrom = start
    tokenizer.pause()
  }
  /** Restarts at the last tag that begins between `start` and `end`. False when there is none. */
  function restartInside(start: number, end: number): boolean {
    const skipped = window.slice(start - windowStart, end + 1 - windowStart)
    let at = skipped.lastIndexOf('<', end - start - 1)
    while (at > 0 && !tagBegins.test(skipped[at + 1] ?? '')) at = skipped.lastIndexOf('<', at - 1)
    if (at < 0 || !tagBegins.test(skipped[at + 1] ?? '')) return false
    restart(start + at)
    return true
  }
  /** Looks for a tag in the rest of an end tag, before the next token: the tokenizer does not report that rest. */
  function isAgain(tokenStart: number): boolean {
    const rest = endTagRest
    endTagRest = null
    return rest !== null && restartInside(rest, tokenStart)
  }
  function goOn(): void {
    while (restartFrom !== null) {
      drop(restartFrom)
      windowStart = 0
      consumed = 0
      tagStart = null
      tagLine = null
      endTagRest = null
      restartFrom = null
      tokenizer = openTokenizer()
      feed(window)
    }
  }
  /** Turns every comment into one that ends at the next `>`. In HTML a CDATA section already ends there. */
  function feed(piece: string): void {
    const before = window.slice(0, window.length - piece.length).slice(-2)
    tokenizer.write((before + piece).replaceAll(/<![-[]/g, '<! ').slice(before.length))
  }

  function findUnread(): number | null {
    if (tagStart !== null) return tagLine ?? lineOf(tagStart)
    drop(consumed)
    const start = window.search(/<[!?/a-z]/i)
    return start === -1 ? null : lineOf(windowStart + start)
  }

  function endTagHead(end: number): void {
    if (restartFrom !== null) return
    tagStart = null
    pass(end + 1)
    handler.onTag(tag, attributes)
  }
  function appendToAttribute(text: string): void {
    if (attribute !== null && attributes[attribute]!.length < maxLength) attributes[attribute] += text
  }
  /** @param end of the value, or of the part that has arrived */
  function searchValue(start: number, end: number): void {
    const from = Math.max(start - entryLength, windowStart)
    const found = window.slice(from - windowStart, end + 1 - windowStart).search(entry)
    if (found !== -1) restart(from + found)
    else pass(end - entryLength)
  }

  function openTokenizer(): Tokenizer {
    return new Tokenizer(
      {},
      {
        onopentagname(start, end) {
          if (isAgain(start - 1)) return
          tagStart = start - 1
          tagLine = null
          const name = take(start, end)
          if (restartInside(start, end)) return
          tag = name.toLowerCase()
          attributes = {}
        },
        onattribname(start, end) {
          const name = take(start, end).toLowerCase()
          attribute = null
          if (tag !== 'a') return void restartInside(start, end)
          const inside = name.lastIndexOf('<')
          if (inside !== -1 && afterLink.test(name.slice(inside) + window[end - windowStart])) {
            endTagHead(start)
            restart(start + inside)
          }
          // Of two attributes with the same name the first counts, as in browsers.
          else if (wanted.has(name) && attributes[name] === undefined) {
            attribute = name
            attributes[name] = ''
          }
        },
        onattribdata(start, end) {
          if (tag !== 'a') searchValue(start, end)
          else if (attribute === null) pass(end)
          else appendToAttribute(take(start, end))
        },
        onattribentity: (codePoint) => appendToAttribute(String.fromCodePoint(codePoint)),
        onattribend: (_quote, end) => pass(end),
        onopentagend: endTagHead,
        onselfclosingtag: endTagHead,
        onclosetag(start, end) {
          if (isAgain(start - 2)) return
          const name = take(start, end)
          if (restartInside(start, end)) return
          handler.onEndTag(name.toLowerCase())
          endTagRest = end
        },
        ontext(start, end) {
          if (!isAgain(start)) handler.onText(take(start, end))
        },
        ontextentity(codePoint, end) {
          if (isAgain(end)) return
          pass(end)
          handler.onText(String.fromCodePoint(codePoint))
        },
        ondeclaration(start, end) {
          if (isAgain(start)) return
          handler.onDeclaration(window.slice(start - windowStart, end - windowStart))
          if (!restartInside(start, end)) pass(end + 1)
        },
        // Also called for what browsers skip as a comment: `<! x>`, `<? x>` and `</ x>`.
        oncomment(start, end) {
          if (!isAgain(start) && !restartInside(start, end)) pass(end + 1)
        },
        oncdata() {},
        onprocessinginstruction() {},
        onend() {},
        // In foreign content no tag contains only text, as `<script>` does in HTML.
        isInForeignContext: () => true,
      },
    )
  }

  return {
    write(piece) {
      for (let start = 0; start < piece.length; start += partLength) {
        drop(consumed)
        if (window.length > maxTokenLength) {
          throw new ImportProblem('This file cannot be read: it has a tag or a comment that does not end.')
        }
        const part = piece.slice(start, start + partLength)
        window += part
        feed(part)
        goOn()
      }
    },
    end() {
      if (endTagRest !== null && restartInside(endTagRest, windowStart + window.length)) goOn()
      const unreadFromLine = findUnread()
      tokenizer.end()
      return { unreadFromLine }
    },
  }
}

function countLines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count++
  return count
}
