import { styleText } from 'node:util'

type Colour = 'blue' | 'cyan' | 'green' | 'magenta' | 'yellow' | 'red' | 'dim' | 'bold'

/** One row of the table of what runs where. */
export interface Row {
  type: string
  name: string
  url: string
  /** As `pid 4711`, or why there is none, as `does not run`. */
  pid: string
}

/** Everything `pnpm dev` writes. Colour only on a terminal. */
export interface Printer {
  /** Whether the output is a terminal. */
  readonly isTerminal: boolean
  /** Prints a sentence of `pnpm dev` itself. */
  say(sentence: string): void
  /** Prints a sentence of `pnpm dev` itself about an error. */
  warn(sentence: string): void
  table(rows: readonly Row[]): void
  /** Prints a line that a process wrote. */
  log(name: string, line: string): void
  /** Prints what a process wrote until it was ready: lines that are not JSON logs, and errors; with `isRaw` all of it. */
  logStart(name: string, lines: readonly string[]): void
}

const PREFIXES: Colour[] = ['cyan', 'magenta', 'blue', 'green', 'yellow']
const LEVELS: Record<string, Colour> = { warn: 'yellow', error: 'red', fatal: 'red' }

/** Messages of every start and stop. They are not printed, because the table and our own sentences say the same. */
const EXPECTED = /^(listening|stopping|stopped|upstream \w+|\w+ \/readyz .*)$/

/** @param options.isRaw prints what processes write unchanged, for other programs to read; default false */
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

/** The parts of a log line that are printed. */
interface LogLine {
  time: string
  level: string
  text: string
  /** The other fields of the line, as `name=value`. */
  details: string
  /** The frames of an error's stack that are in our own files. */
  stack: string[]
}

interface Entry extends Record<string, unknown> {
  time: string
  level: string
  msg?: string
  err?: LoggedError
}

interface LoggedError {
  message: string
  stack?: string
  cause?: LoggedError
}

/** Fields that are not printed: only programs need them, or the prefix of the line has them. */
const LEFT_OUT = ['service', 'process', 'pid', 'hostname', 'trace_id', 'span_id', 'route']

/** Reads a JSON log line of a service; null when the line is something else. */
export function readLogLine(line: string): LogLine | null {
  const entry = parse(line)
  if (!entry) return null
  const { time, level, msg = '', err, request_id: request, ...rest } = entry
  for (const name of LEFT_OUT) delete rest[name]
  let text = msg
  if (msg.startsWith('request') && 'status' in rest) {
    const { method, path, status, problem = '', durationMs } = rest
    const note = msg.slice('request'.length)
    text = `${method} ${path} ${status} ${problem}${problem && ' '}${durationMs} ms${note}`
    for (const name of ['method', 'path', 'status', 'problem', 'durationMs']) delete rest[name]
  }
  // Eight characters are enough to tell requests apart. The response header x-request-id begins with them.
  if (request !== undefined) rest['request'] = String(request).slice(0, 8)
  const details = Object.entries(rest).map(([name, value]) => `${name}=${show(value)}`)
  const hasErrors = level === 'error' || level === 'fatal'
  const messages = [...causes(err)].map(({ message }) => message).filter((message) => message !== msg)
  return {
    time: time.slice(11, 19),
    level,
    text: [text, ...messages].filter(Boolean).join(': '),
    details: details.join(' '),
    stack: hasErrors ? ownFrames(err?.stack) : [],
  }
}

function parse(line: string): Entry | null {
  if (!line.startsWith('{"level":"')) return null
  try {
    return JSON.parse(line) as Entry
  } catch {
    return null
  }
}

function* causes(error: LoggedError | undefined): Generator<LoggedError> {
  for (let at = error; at; at = at.cause) yield at
}

function ownFrames(stack = ''): string[] {
  const frames = stack.split('\n').filter((line) => line.startsWith('    at '))
  return frames.filter((line) => !line.includes('node:internal') && !line.includes('/node_modules/'))
}

function show(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}
