import type { QueueLog } from '../src/index.ts'

/** A log that hands on each line as text. */
export function jobLog(write: (line: string) => void, bindings: object = {}): QueueLog {
  const at = (level: string) => (values: object, message: string) => {
    const { err, ...rest } = { ...bindings, ...values } as { err?: Error }
    write(`${level} ${message} ${JSON.stringify({ ...rest, ...(err && { error: err.message }) })}`)
  }
  return {
    debug: () => {},
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
    child: (values) => jobLog(write, { ...bindings, ...values }),
  }
}
