import { Tokenizer } from 'htmlparser2'
import { ImportProblem } from './import-problem.ts'

/** What is met in a file, in its order. Names are lower case; entities are decoded. */
export interface TagHandler {
  onDeclaration(text: string): void
  /** `attributes` holds those that were asked for, each cut off at the length asked for. */
  onTag(name: string, attributes: Record<string, string>): void
  onEndTag(name: string): void
  onText(text: string): void
}

/** What is asked for: of the attributes those with these names, each cut off at `maxLength`. */
export interface Wanted {
  tags: ReadonlySet<string>
  attributes: ReadonlySet<string>
  maxLength: number
}

/** A name, comment or declaration longer than this stands in no bookmark file. */
const maxTokenLength = 1024 * 1024

/** So far is what looks like a tag kept, in case that it is text, as in `while lo<hi holds`. */
const maxDoubtLength = 4096

/**
 * Reads HTML tag by tag, whatever is missing or crossed in it. htmlparser2's Parser would keep every open tag and the whole of
 * every attribute, so a hostile file decides how much memory it takes; its Tokenizer keeps nothing, and here one token at most is.
 *
 * It differs from browsers where they would lose entries. `<script>`, `<textarea>`, `<title>` and the like are tags as any other:
 * left open in somebody's note they would swallow the rest of the file. And a `<` inside a tag begins another one: the first was text,
 * unless it is one of `wanted.tags`.
 *
 * @throws ImportProblem from `write` when a token has no end.
 */
export function createTagReader(
  handler: TagHandler,
  wanted: Wanted,
): { write(piece: string): void; end(): { unreadFromLine: number | null } } {
  // The part of the file that the tokenizer may still name by its offsets, which count from the file's beginning.
  let window = ''
  let windowStart = 0
  let consumed = 0
  let lines = 1

  // Where the tag begins whose head is being read; null between tags.
  let tagStart: number | null = null
  let tag = ''
  let isEndTag = false
  let attributes: Record<string, string> = {}
  let attribute: string | null = null

  function take(start: number, end: number): string {
    pass(end)
    return window.slice(start - windowStart, end - windowStart)
  }
  function pass(end: number): void {
    const isInDoubt = tagStart !== null && end - tagStart <= maxDoubtLength
    consumed = Math.max(consumed, isInDoubt ? tagStart! : end)
  }
  function appendToAttribute(text: string): void {
    if (attribute !== null && attributes[attribute]!.length < wanted.maxLength) attributes[attribute] += text
  }

  /** A name may hold the `<` of a tag that begins in it; what stands before that one was text, or a tag without its end. */
  function beginTag(start: number, end: number): void {
    const name = take(start, end)
    const inside = name.lastIndexOf('<')
    if (inside !== -1) {
      if (wanted.tags.has(tag)) handler.onTag(tag, attributes)
      else if (tagStart !== null && tagStart >= windowStart) handler.onText(take(tagStart, start + inside))
      tagStart = start + inside
    }
    tag = name.slice(inside + 1).toLowerCase()
    isEndTag = false
    attributes = {}
    attribute = null
  }
  function endTagHead(end: number): void {
    if (isEndTag) handler.onEndTag(tag)
    else handler.onTag(tag, attributes)
    tagStart = null
    tag = ''
    pass(end)
  }

  const tokenizer = new Tokenizer(
    {},
    {
      onopentagname(start, end) {
        tagStart = start - 1
        tag = ''
        beginTag(start, end)
      },
      onattribname(start, end) {
        const name = take(start, end).toLowerCase()
        if (name.includes('<')) return beginTag(start, end)
        if (tag === '' && start - tagStart! === 2) {
          // After a `<` in the middle of a tag the tokenizer takes the slash of `</a>` for another thing.
          tag = name
          isEndTag = true
          return
        }
        // Of two attributes of one name the first counts, as in browsers.
        attribute = wanted.attributes.has(name) && attributes[name] === undefined ? name : null
        if (attribute !== null) attributes[attribute] = ''
      },
      onattribdata(start, end) {
        if (attribute === null) pass(end)
        else appendToAttribute(take(start, end))
      },
      onattribentity: (codePoint) => appendToAttribute(String.fromCodePoint(codePoint)),
      onattribend: (_quote, end) => pass(end),
      onopentagend: endTagHead,
      onselfclosingtag: endTagHead,
      onclosetag: (start, end) => handler.onEndTag(take(start, end).toLowerCase()),
      ontext: (start, end) => handler.onText(take(start, end)),
      ontextentity(codePoint, end) {
        pass(end)
        handler.onText(String.fromCodePoint(codePoint))
      },
      ondeclaration: (start, end) => handler.onDeclaration(take(start, end)),
      onprocessinginstruction: (_start, end) => pass(end),
      oncomment: (_start, end) => pass(end),
      oncdata: (_start, end) => pass(end),
      onend() {},
      // In which no tag has text alone for its content.
      isInForeignContext: () => true,
    },
  )

  return {
    write(piece) {
      lines += countLines(window.slice(0, consumed - windowStart))
      window = window.slice(consumed - windowStart)
      windowStart = consumed
      if (window.length > maxTokenLength) {
        throw new ImportProblem('This file cannot be read: it has a tag or a comment that does not end.')
      }
      window += piece
      tokenizer.write(piece)
    },
    end() {
      const rest = tagStart ?? consumed
      const isInside = tagStart !== null || /^<[!?/a-z]/i.test(window.slice(rest - windowStart))
      tokenizer.end()
      return { unreadFromLine: isInside ? lines + countLines(window.slice(0, rest - windowStart)) : null }
    },
  }
}

function countLines(text: string): number {
  let count = 0
  for (let at = text.indexOf('\n'); at !== -1; at = text.indexOf('\n', at + 1)) count++
  return count
}
