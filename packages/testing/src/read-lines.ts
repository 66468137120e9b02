import type { Readable } from 'node:stream'

/** Tells each line of a stream. Only a line feed ends one: Node's readline also splits at U+2028, which JSON may hold as it is. */
export function readLines(stream: Readable, onLine: (line: string) => void): void {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop()!
    for (const line of lines) onLine(line.replace(/\r$/, ''))
  })
  stream.on('end', () => {
    if (rest !== '') onLine(rest)
  })
}
