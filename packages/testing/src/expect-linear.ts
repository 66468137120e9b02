import { readdir, readFile } from 'node:fs/promises'
import * as fc from 'fast-check'

/**
 * Work that takes less than this for the longest text (64 KiB by default) is harmless. It is also too short to measure: a
 * busy machine and the garbage collector add tens of milliseconds to one run and none to the next.
 */
const HARMLESS_MS = 100
/** The highest ratio of times for four times the text. It is 4 for linear work, and 16 for quadratic work. */
const MAX_RATIO = 8

/** Texts that are known to make regular expressions, parsers or loops start again at every character. */
const ATOMS = [
  ...Array.from(' \t\n\r\0,;=/.:-%&<>"\'\\@#aA0é\u00a0\u0301\ufdfa\u{1f511}\ud800'),
  // Two combining marks that are not in canonical order.
  '\u0301\u0327',
  '&#',
  '&amp;',
  '<a ',
  '<!--',
  '</',
  '<DL>',
  '../',
  '%2e',
  '\\"',
  ', ',
  ' \n',
  '::',
  '1.',
  '=?',
]

interface Shape {
  before: string
  repeated: string
  after: string
}

const few = (maxLength: number) =>
  fc.array(fc.constantFrom(...ATOMS), { maxLength }).map((atoms) => atoms.join(''))
const anyShape: fc.Arbitrary<Shape> = fc.record({
  before: few(2),
  repeated: few(3).filter((text) => text !== ''),
  after: few(2),
})
// The end of a text decides whether a regular expression backtracks.
const everyAtom = ATOMS.flatMap((repeated) =>
  ['', 'x'].map((after): [Shape] => [{ before: '', repeated, after }]),
)

/**
 * Fails when it finds a text for which the work grows faster than the text. It tries each atom above and 40 random shapes,
 * and measures those that take long at n, 2n and 4n characters. Errors that the work throws are ignored.
 *
 * @param maxLength the longest text that the work can get. Default 64 KiB.
 */
export async function expectLinear(
  work: (text: string) => unknown,
  { maxLength = 64 * 1024 }: { maxLength?: number } = {},
): Promise<void> {
  const property = fc.asyncProperty(anyShape, async (shape) => {
    for (let length = 2048; 4 * length <= maxLength; length *= 2) {
      const startedAt = performance.now()
      await attempt(work, textOf(shape, 4 * length))
      if (performance.now() - startedAt < HARMLESS_MS) continue
      // A step, for example at the size of a cache, looks quadratic at one length and not at the next.
      const isSquare = (await ratioAt(work, shape, length)) > MAX_RATIO
      const ratio = isSquare ? await ratioAt(work, shape, 2 * length) : 0
      if (ratio > MAX_RATIO) throw new Error(`4 times the text takes ${ratio.toFixed(1)} times as long`)
    }
  })
  await fc.assert(property, { examples: everyAtom, numRuns: everyAtom.length + 40, endOnFailure: true })
}

/**
 * Lists the exported functions of a folder whose first parameter is a text, so that `expectLinear` tests miss no new one.
 */
export async function listTextFunctions(folder: URL): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
  const sources = await Promise.all(files.map((name) => readFile(new URL(name, folder), 'utf8')))
  const declared = /^export (?:async )?function\*? (\w+)\(\s*\w+: (?:readonly )?string\b/gm
  return sources.flatMap((source) => [...source.matchAll(declared)].map(([, name]) => name!)).sort()
}

function textOf({ before, repeated, after }: Shape, length: number): string {
  const times = Math.ceil((length - before.length - after.length) / repeated.length)
  // A buffer makes the string flat. Otherwise its first reader would pay for flattening it.
  return Buffer.from(before + repeated.repeat(times) + after, 'utf16le').toString('utf16le')
}

/**
 * Returns the ratio of the times for 4n and n characters, or the square of that for 2n and n if it is lower. CPU time hardly
 * depends on other processes. It may have a resolution of 4 ms, so each time is of the same total number of characters.
 */
async function ratioAt(work: (text: string) => unknown, shape: Shape, length: number): Promise<number> {
  const [once, twice, fourTimes] = [
    await cpuMs(work, textOf(shape, length), 8),
    await cpuMs(work, textOf(shape, 2 * length), 4),
    await cpuMs(work, textOf(shape, 4 * length), 2),
  ]
  // The machine was slow, not the work.
  if (fourTimes < HARMLESS_MS) return 0
  return Math.min((4 * fourTimes) / once, ((2 * twice) / once) ** 2)
}

async function cpuMs(work: (text: string) => unknown, text: string, times: number): Promise<number> {
  const before = process.threadCpuUsage()
  for (let n = 0; n < times; n++) await attempt(work, text)
  const { user, system } = process.threadCpuUsage(before)
  return (user + system) / 1000
}

async function attempt(work: (text: string) => unknown, text: string): Promise<void> {
  try {
    await work(text)
  } catch {
    // Work that ends with an error is measured too.
  }
}
