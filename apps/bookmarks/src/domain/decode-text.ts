/** The number of bytes in which a declared encoding is looked for, as in browsers. */
const prescanLength = 1024

/** The length of the longest UTF-8 character, in bytes. */
const maxCharacterLength = 4

/**
 * The text of a file, piece by piece. A byte order mark decides the encoding, else a `<META charset>`, else the first
 * character beyond ASCII: UTF-8 if it is valid, else windows-1252, as in browsers. Old browsers wrote that on Windows.
 * @see https://html.spec.whatwg.org/multipage/parsing.html#determining-the-character-encoding
 */
export async function* decodeText(source: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  let decoder: TextDecoder | undefined
  let isFirst = true
  let held: Uint8Array = new Uint8Array()

  for await (const piece of source) {
    if (isFirst) decoder = namedDecoder(piece)
    isFirst = false
    let bytes = piece
    if (!decoder) {
      bytes = held.length > 0 ? Buffer.concat([held, piece]) : piece
      const start = bytes.findIndex((byte) => byte > 0x7f)
      const ascii = start === -1 ? bytes : bytes.subarray(0, start)
      yield Buffer.from(ascii).toString('latin1')
      held = bytes.subarray(ascii.length)
      if (held.length < maxCharacterLength) continue
      decoder = guessDecoder(held)
      bytes = held
    }
    yield decoder.decode(bytes, { stream: true })
  }
  if (decoder) yield decoder.decode()
  else if (held.length > 0) yield guessDecoder(held).decode(held)
}

/** The decoder that the file declares; undefined when it declares none, or one that cannot be true. */
function namedDecoder(firstBytes: Uint8Array): TextDecoder | undefined {
  const [first, second] = firstBytes
  if (first === 0xff && second === 0xfe) return new TextDecoder('utf-16le')
  if (first === 0xfe && second === 0xff) return new TextDecoder('utf-16be')
  if (first === 0xef && second === 0xbb) return new TextDecoder('utf-8')

  const head = Buffer.from(firstBytes.subarray(0, prescanLength)).toString('latin1')
  const label = /<meta[^>]*charset\s*=\s*["']?([\w:-]+)/i.exec(head)?.[1]
  if (label === undefined) return undefined
  try {
    const decoder = new TextDecoder(label)
    // The declaration was read as ASCII, so the file cannot be UTF-16.
    return decoder.encoding.startsWith('utf-16') ? undefined : decoder
  } catch {
    return undefined
  }
}

/** @param bytes begin with a byte beyond ASCII */
function guessDecoder(bytes: Uint8Array): TextDecoder {
  const lead = bytes[0]!
  const length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(0, length))
    return new TextDecoder('utf-8')
  } catch {
    return new TextDecoder('windows-1252')
  }
}
