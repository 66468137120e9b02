/**
 * What a store keeps of a session, and the only place that knows its form. Version 1 is text, one entry a line:
 *
 *     [1,1767225600000,{"id":"u1"},"Mozilla/5.0 …"]     version, createdAt, user or null, user agent; never changes
 *     ,"cart":["book"]                                  key and value as JSON, which never holds a raw newline
 *     ,"theme":"dark"
 *
 * So a store changes one key by finding its line, without parsing a value: no number, `[]` or lone surrogate is
 * ever decoded and encoded again on the way, and two processes that change different keys do not meet. Whoever
 * reads must ignore further items of the head and keep lines it does not know: that is how the next release may add some.
 */
const VERSION = 1

/** Name and value of one entry as they stand in the record: `,"cart":` and `["book"]`; an empty value means "not there". */
export type Line = readonly [name: string, json: string]

/** The person a session belongs to: one shape for all services, since each reads what any other has written. */
export interface SessionUser {
  id: string
  /** What the person may do beyond being somebody. Of the sign-in: a change of them is told to sessions that begin later. */
  roles?: readonly string[]
}

export interface RecordHead {
  createdAt: number
  user: Readonly<SessionUser> | null
  userAgent: string
}

export function buildRecord({ createdAt, user, userAgent }: RecordHead): string {
  return JSON.stringify([VERSION, createdAt, user, userAgent])
}

/** Null for a record that is damaged, or that a release wrote whose form this one does not know. */
export function readHead(record: string): RecordHead | null {
  const end = record.indexOf('\n')
  try {
    const [version, createdAt, user, userAgent] = JSON.parse(end === -1 ? record : record.slice(0, end))
    const isUser = user === null || typeof user?.id === 'string'
    if (version !== VERSION || typeof createdAt !== 'number' || !isUser) return null
    return { createdAt, user: user && Object.freeze(user), userAgent }
  } catch {
    return null
  }
}

/** @throws SyntaxError when the record is damaged */
export function readValues(record: string): Record<string, unknown> {
  const end = record.indexOf('\n')
  return end === -1 ? {} : JSON.parse(`{${record.slice(end + 2)}}`)
}

export function nameOf(key: string): string {
  return `,${JSON.stringify(key)}:`
}

/** The JSON of one entry, or '' when there is none. */
export function findJson(record: string, name: string): string {
  const start = record.indexOf(`\n${name}`)
  if (start === -1) return ''
  const end = record.indexOf('\n', start + 1)
  return record.slice(start + 1 + name.length, end === -1 ? undefined : end)
}

export function applyLines(record: string, lines: readonly Line[]): string {
  return lines.reduce((record, [name, json]) => {
    const start = record.indexOf(`\n${name}`)
    const end = start === -1 ? -1 : record.indexOf('\n', start + 1)
    const others = start === -1 ? record : record.slice(0, start) + (end === -1 ? '' : record.slice(end))
    return json === '' ? others : `${others}\n${name}${json}`
  }, record)
}

/** A record as one request sees it: the text it has loaded, its values once they are read, and what it has changed. */
export interface RecordCopy {
  /** As the store has it; undefined when there is none yet. */
  text: string | undefined
  parsed: Record<string, unknown> | undefined
  /** What the route has set, and the objects it has got and may have changed in place; undefined is "deleted". */
  live: Map<string, unknown>
}

export function openCopy(text?: string): RecordCopy {
  return { text, parsed: undefined, live: new Map() }
}

/** @throws SyntaxError when the record is damaged */
export function readValue(copy: RecordCopy, key: string): unknown {
  if (copy.live.has(key) || copy.text === undefined) return copy.live.get(key)
  copy.parsed ??= readValues(copy.text)
  const value = Object.hasOwn(copy.parsed, key) ? copy.parsed[key] : undefined
  if (typeof value === 'object' && value !== null) copy.live.set(key, value)
  return value
}

export function keysOf(copy: RecordCopy): string[] {
  if (copy.text !== undefined) copy.parsed ??= readValues(copy.text)
  const keys = new Set([...Object.keys(copy.parsed ?? {}), ...copy.live.keys()])
  return [...keys].filter((key) => readValue(copy, key) !== undefined)
}

/** The lines that differ from the record. A value that was only read costs a comparison, a primitive not even that. */
export function changedLines({ text = '', live }: RecordCopy): Line[] {
  const lines = [...live].map(([key, value]): Line => [nameOf(key), JSON.stringify(value) ?? ''])
  return lines.filter(([name, json]) => json !== findJson(text, name))
}

/** The same changes over a newer record: what this request has not changed is what the newer record says. */
export function rebase(copy: RecordCopy, text: string): void {
  for (const [key, value] of copy.live) {
    const name = nameOf(key)
    const json = findJson(copy.text ?? '', name)
    const isUnchanged = JSON.stringify(value) === json
    if (isUnchanged && json !== findJson(text, name)) copy.live.delete(key)
  }
  copy.text = text
  copy.parsed = undefined
}

export function discardChanges(copy: RecordCopy): void {
  copy.live.clear()
  copy.parsed = undefined
}
