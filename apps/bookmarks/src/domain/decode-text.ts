/** How far into a file its own word on its encoding is looked for, as in browsers. */
const prescanLength = 1024

/**
 * The text of a file, piece by piece. What a byte order mark says wins, then a `<META charset>`, then UTF-8.
 * @see https://html.spec.whatwg.org/multipage/parsing.html#determining-the-character-encoding
 */
export async function* decodeText(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let decoder: TextDecoder | null = null
  for await (const bytes of source) {
    decoder ??= new TextDecoder(encodingOf(bytes))
    yield decoder.decode(bytes, { stream: true })
  }
  if (decoder) yield decoder.decode()
}

function encodingOf(firstBytes: Uint8Array): string {
  const [first, second] = firstBytes
  if (first === 0xff && second === 0xfe) return 'utf-16le'
  if (first === 0xfe && second === 0xff) return 'utf-16be'
  if (first === 0xef && second === 0xbb) return 'utf-8'

  const head = Buffer.from(firstBytes.subarray(0, prescanLength)).toString('latin1')
  const label = /<meta[^>]*charset\s*=\s*["']?([\w:-]+)/i.exec(head)?.[1] ?? 'utf-8'
  return isReadable(label) ? label : 'utf-8'
}

/** The word itself was read as ASCII, so it cannot truthfully be UTF-16. */
function isReadable(label: string): boolean {
  try {
    return !new TextDecoder(label).encoding.startsWith('utf-16')
  } catch {
    return false
  }
}
