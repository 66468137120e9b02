import { styleText } from 'node:util'
import { readLogLine, type LogLine } from './read-log-line.ts'

type Colour = 'blue' | 'cyan' | 'green' | 'magenta' | 'yellow' | 'red' | 'dim' | 'bold'

/** One row of the table of what runs where. */
export interface Row {
  type: string
  name: string
  url: string
  /** As `pid 4711`, or what there is instead of one. */
  pid: string
}

/** Everything `pnpm dev` writes. Colour only on a terminal. */
export interface Printer {
  /** Whether a person is there to read it. */
  readonly isTerminal: boolean
  /** A sentence of our own. */
  say(sentence: string): void
  /** A sentence of our own about something that went wrong. */
  warn(sentence: string): void
  table(rows: readonly Row[]): void
  /** A line that a process wrote. */
  log(name: string, line: string): void
  /** What a process wrote until it was ready: what its own author wrote there, and what went wrong on the way. */
  logStart(name: string, lines: readonly string[]): void
}

const PREFIXES: Colour[] = ['cyan', 'magenta', 'blue', 'green', 'yellow']
const LEVELS: Record<string, Colour> = { warn: 'yellow', error: 'red', fatal: 'red' }

/** What every start and stop says, of itself and of others: the table and our own sentences say it better. */
const EXPECTED = /^(listening|stopping|stopped|upstream \w+|\w+ \/readyz .*)$/

/** @param options.isRaw what processes write stays as it is, for other programs to read */
export function createPrinter(out: NodeJS.WriteStream, { isRaw = false } = {}): Printer {
  const colours = new Map<string, Colour>()
  let width = 0

  function paint(colour: Colour, text: string): string {
    return text && styleText(colour, text, { stream: out })
  }

  function write(line: string): void {
    out.write(`${line.trimEnd()}\n`)
  }

  function writeOf(name: string, text: string): void {
    const type = name.replace(/\.\d+$/, '')
    if (!colours.has(type)) colours.set(type, PREFIXES[colours.size % PREFIXES.length]!)
    width = Math.max(width, name.length)
    write(`${paint(colours.get(type)!, name.padEnd(width))}  ${text}`)
  }

  function writeLog(name: string, { time, level, text, details, stack }: LogLine): void {
    const shownLevel = LEVELS[level] ? `${paint(LEVELS[level], level)} ` : ''
    writeOf(name, `${paint('dim', time)} ${shownLevel}${text} ${paint('dim', details)}`)
    for (const frame of stack) writeOf(name, paint('dim', frame))
  }

  return {
    isTerminal: Boolean(out.isTTY),
    say: (sentence) => write(paint('bold', sentence)),
    warn: (sentence) => write(paint('red', sentence)),
    table(rows) {
      const widthOf = (column: 'type' | 'name' | 'url'): number =>
        Math.max(...rows.map((row) => row[column].length)) + 2
      width = Math.max(width, ...rows.map(({ name }) => name.length))
      write('')
      for (const [i, { type, name, url, pid }] of rows.entries()) {
        const shownType = type === rows[i - 1]?.type ? '' : type
        const where = `${name.padEnd(widthOf('name'))}${url.padEnd(widthOf('url'))}`
        write(`  ${paint('bold', shownType.padEnd(widthOf('type')))}${where}${paint('dim', pid)}`)
      }
      write('')
    },
    log(name, line) {
      if (isRaw) return write(line)
      const entry = readLogLine(line)
      if (!entry) writeOf(name, line)
      else if (!EXPECTED.test(entry.text)) writeLog(name, entry)
    },
    logStart(name, lines) {
      for (const line of lines) {
        if (isRaw) {
          write(line)
          continue
        }
        const entry = readLogLine(line)
        const isWrong = entry?.level === 'error' || entry?.level === 'fatal'
        if (!entry) writeOf(name, line)
        else if (isWrong && !EXPECTED.test(entry.text)) writeLog(name, entry)
      }
    },
  }
}
