import { readdir, readFile } from 'node:fs/promises'
import * as fc from 'fast-check'

/**
 * What takes no longer than this for a text of 64 KiB does no harm. And it is too short to be judged: a busy machine and the
 * garbage collector add tens of milliseconds to one run and none to the next.
 */
const HARMLESS_MS = 100
/** How much longer four times the text may take: 4 times when work is linear, 16 times when it grows with the square. */
const MAX_RATIO = 8

/** What has made somebody's regular expression, parser or loop begin again at every character. */
const ATOMS = [
  ...Array.from(' \t\n\r\0,;=/.:-%&<>"\'\\@#aA0é\u00a0\u0301\ufdfa\u{1f511}\ud800'),
  // Two marks in the order that is not the canonical one.
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
// What comes last decides whether a regular expression tries all the other ways as well.
const everyAtom = ATOMS.flatMap((repeated) =>
  ['', 'x'].map((after): [Shape] => [{ before: '', repeated, after }]),
)

/**
 * Fails when there is a text for which the work grows faster than the text does. It plays each atom above and 40 shapes at
 * random; those that take long are measured at n, 2n and 4n characters. What the work throws is an answer as good as any.
 *
 * @param maxLength of the text, for what is never given a longer one
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
      // A step, as where a cache ends, looks like the square at one length, and not at the next.
      const isSquare = (await ratioAt(work, shape, length)) > MAX_RATIO
      const ratio = isSquare ? await ratioAt(work, shape, 2 * length) : 0
      if (ratio > MAX_RATIO) throw new Error(`4 times the text takes ${ratio.toFixed(1)} times as long`)
    }
  })
  await fc.assert(property, { examples: everyAtom, numRuns: everyAtom.length + 40, endOnFailure: true })
}

/**
 * The functions of a folder that take a text first: those that `expectLinear` is asked about, so that a new one is not forgotten.
 */
export async function listTextFunctions(folder: URL): Promise<string[]> {
  const files = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.ts'))
  const sources = await Promise.all(files.map((name) => readFile(new URL(name, folder), 'utf8')))
  const declared = /^export (?:async )?function\*? (\w+)\(\s*\w+: (?:readonly )?string\b/gm
  return sources.flatMap((source) => [...source.matchAll(declared)].map(([, name]) => name!)).sort()
}

function textOf({ before, repeated, after }: Shape, length: number): string {
  const times = Math.ceil((length - before.length - after.length) / repeated.length)
  // Buffers make it flat: as a rope, its first reader would pay for all the others.
  return Buffer.from(before + repeated.repeat(times) + after, 'utf16le').toString('utf16le')
}

/**
 * How much longer 4n characters take than n do; or 2n than n, as it would go on. In CPU time, which other processes hardly
 * change, of as many texts as make the same number of characters: it may come in ticks of 4 ms.
 */
async function ratioAt(work: (text: string) => unknown, shape: Shape, length: number): Promise<number> {
  const [once, twice, fourTimes] = [
    await cpuMs(work, textOf(shape, length), 8),
    await cpuMs(work, textOf(shape, 2 * length), 4),
    await cpuMs(work, textOf(shape, 4 * length), 2),
  ]
  // It was the machine that took long.
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
    // Refusing is work as well.
  }
}
