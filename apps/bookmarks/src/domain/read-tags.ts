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

/** A name, comment or declaration longer than this stands in no bookmark file. */
const maxTokenLength = 1024 * 1024

/**
 * Reads HTML tag by tag, whatever is missing or crossed in it. htmlparser2's Parser would keep every open tag and the whole of
 * every attribute, so a hostile file decides how much memory it takes; its Tokenizer keeps nothing, and here one token at most is.
 *
 * @throws ImportProblem from `write` when a token has no end.
 */
export function createTagReader(
  handler: TagHandler,
  wanted: { attributes: ReadonlySet<string>; maxLength: number },
): { write(piece: string): void; end(): void } {
  // The part of the file that the tokenizer may still name by its offsets, which count from the file's beginning.
  let window = ''
  let windowStart = 0
  let consumed = 0

  let tag = ''
  let attributes: Record<string, string> = {}
  let attribute: string | null = null

  function take(start: number, end: number): string {
    pass(end)
    return window.slice(start - windowStart, end - windowStart)
  }
  function pass(end: number): void {
    consumed = Math.max(consumed, end)
  }
  function appendToAttribute(text: string): void {
    if (attribute !== null && attributes[attribute]!.length < wanted.maxLength) attributes[attribute] += text
  }
  function endTagHead(end: number): void {
    pass(end)
    handler.onTag(tag, attributes)
  }

  const tokenizer = new Tokenizer(
    {},
    {
      onopentagname(start, end) {
        tag = take(start, end).toLowerCase()
        attributes = {}
      },
      onattribname(start, end) {
        const name = take(start, end).toLowerCase()
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
    },
  )

  return {
    write(piece) {
      window = window.slice(consumed - windowStart)
      windowStart = consumed
      if (window.length > maxTokenLength) {
        throw new ImportProblem('This file cannot be read: it has a tag or a comment that does not end.')
      }
      window += piece
      tokenizer.write(piece)
    },
    end: () => tokenizer.end(),
  }
}
