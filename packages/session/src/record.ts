/**
 * The form in which a store keeps a session. Only this file knows it. Version 1 is text, with one entry per line:
 *
 *     [1,1767225600000,{"id":"u1"},"Firefox",1767225600000]
 *                                                       version, createdAt, user or null, user agent, and for a user
 *                                                       provedAt; never changes
 *     ,"cart":["book"]                                    key and value as JSON, which never holds a raw newline
 *     ,"theme":"dark"
 *
 * So a store changes one key by its line and parses no value. No number, `[]` or lone surrogate is decoded and encoded
 * again, and two processes that change different keys do not conflict. A reader must ignore further items of the head and
 * keep lines that it does not know, so that the next release may add some.
 */
const VERSION = 1

/** Name and value of one entry as in the record: `,"cart":` and `["book"]`. An empty value means that there is no entry. */
export type Line = readonly [name: string, json: string]

/** The user of a session. All services use this shape, because each reads what others have written. */
export interface SessionUser {
  id: string
  /** What the user may do beyond being signed in. Copied at the sign-in, so a change applies only to later sessions. */
  roles?: readonly string[]
}

export interface RecordHead {
  createdAt: number
  user: Readonly<SessionUser> | null
  userAgent: string
  /** When the user last proved who they are. 0 if that is unknown, as in a record of a release that did not note it. */
  provedAt: number
}

export function buildRecord({ createdAt, user, userAgent, provedAt }: RecordHead): string {
  return JSON.stringify([VERSION, createdAt, user, userAgent, ...(user ? [provedAt] : [])])
}

/** Null for a record that is damaged, or that has a version this release does not know. */
export function readHead(record: string): RecordHead | null {
  const end = record.indexOf('\n')
  try {
    const [version, createdAt, user, userAgent, provedAt = 0] = JSON.parse(
      end === -1 ? record : record.slice(0, end),
    )
    const isUser = user === null || typeof user?.id === 'string'
    if (version !== VERSION || typeof createdAt !== 'number' || !isUser) return null
    return { createdAt, user: user && Object.freeze(user), userAgent, provedAt }
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

/** The record as one request sees it: the loaded text, the values once they are parsed, and the request's changes. */
export interface RecordCopy {
  /** As the store has it; undefined when no record is stored yet. */
  text: string | undefined
  parsed: Record<string, unknown> | undefined
  /** Values that the route set, and objects that it read and may have changed in place; undefined means deleted. */
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

/** The lines that differ from the record. An object that was only read costs one comparison, a primitive costs none. */
export function changedLines({ text = '', live }: RecordCopy): Line[] {
  const lines = [...live].map(([key, value]): Line => [nameOf(key), JSON.stringify(value) ?? ''])
  return lines.filter(([name, json]) => json !== findJson(text, name))
}

/** Applies the request's changes to a newer record. A key that the request did not change gets the newer value. */
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
