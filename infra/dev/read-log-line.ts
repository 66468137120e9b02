/** A log line as a person reads it. */
export interface LogLine {
  time: string
  level: string
  text: string
  /** `name=value`, of whatever else the line says. */
  details: string
  /** Of an error: where it was thrown, in our own files. */
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

/** What machines need to join lines together, and what the prefix of the line says already. */
const LEFT_OUT = ['service', 'process', 'pid', 'hostname', 'trace_id', 'span_id', 'route']

/** Reads a JSON line of a service; null when a process wrote something else. */
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
  // As much of it as tells requests apart: the answer's header x-request-id begins with it.
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
