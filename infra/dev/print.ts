import { styleText } from 'node:util'

type Colour = 'blue' | 'cyan' | 'green' | 'magenta' | 'yellow' | 'red' | 'dim' | 'bold'

/** One row of the table of what runs where. */
export interface Row {
  name: string
  url: string
  pid?: number | undefined
}

/** Everything `pnpm dev` writes. Colour only on a terminal. */
export interface Printer {
  /** Whether a person is there to read it. */
  readonly isTerminal: boolean
  /** A sentence of our own. */
  say(sentence: string): void
  /** A sentence about something that went wrong. */
  warn(sentence: string): void
  table(rows: readonly Row[]): void
  /** A line that a process wrote. */
  log(name: string, line: string): void
}

const PREFIX_COLOURS: Colour[] = ['cyan', 'magenta', 'blue', 'green', 'yellow']
const LEVELS: Record<number, [string, Colour]> = {
  10: ['trace', 'dim'],
  20: ['debug', 'dim'],
  30: ['info', 'dim'],
  40: ['warn', 'yellow'],
  50: ['error', 'red'],
  60: ['fatal', 'red'],
}

export function createPrinter(out: NodeJS.WriteStream): Printer {
  const colours = new Map<string, Colour>()
  let width = 0

  function paint(colour: Colour, text: string): string {
    return styleText(colour, text, { stream: out })
  }

  function prefix(name: string): string {
    const type = name.replace(/\.\d+$/, '')
    if (!colours.has(type)) colours.set(type, PREFIX_COLOURS[colours.size % PREFIX_COLOURS.length]!)
    width = Math.max(width, name.length)
    return paint(colours.get(type)!, name.padEnd(width))
  }

  function write(line: string): void {
    out.write(`${line}\n`)
  }

  return {
    isTerminal: out.isTTY,
    say: (sentence) => write(paint('bold', sentence)),
    warn: (sentence) => write(paint('red', sentence)),
    table(rows) {
      const names = Math.max(...rows.map(({ name }) => name.length))
      const urls = Math.max(...rows.map(({ url }) => url.length))
      write('')
      for (const { name, url, pid } of rows) {
        width = Math.max(width, name.length)
        write(
          `  ${name.padEnd(names)}  ${url.padEnd(urls)}  ${paint('dim', pid ? `pid ${pid}` : 'not ours')}`,
        )
      }
      write('')
    },
    log(name, line) {
      for (const part of readable(line, paint)) write(`${prefix(name)} ${part}`)
    },
  }
}

interface LogLine {
  level: number
  msg?: string
  req?: { method: string; url: string }
  res?: { statusCode: number }
  responseTime?: number
  err?: { stack?: string; message?: string }
}

/** A line of pino's JSON as a person reads it; anything else as it is. */
function readable(line: string, paint: (colour: Colour, text: string) => string): string[] {
  const entry = parse(line)
  if (!entry) return [line]
  const [level, colour] = LEVELS[entry.level] ?? ['info', 'dim']
  const { msg = '', req, res, responseTime, err } = entry
  const request = req ? ` ${req.method} ${req.url}` : ''
  const answer = res ? ` ${res.statusCode} ${Math.round(responseTime ?? 0)} ms` : ''
  const stack = err?.stack ?? err?.message
  return [`${paint(colour, level.padEnd(5))} ${msg}${request}${answer}`, ...(stack ? stack.split('\n') : [])]
}

function parse(line: string): LogLine | undefined {
  if (!line.startsWith('{"level":')) return undefined
  try {
    return JSON.parse(line) as LogLine
  } catch {
    return undefined
  }
}
