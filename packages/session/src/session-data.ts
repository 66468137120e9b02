import { findJson, nameOf, readValues, type Line } from './record.ts'

/** The data of a session as one request sees it: the record it loaded, parsed when it is read, and what it changed. */
export interface SessionData {
  /** As the store has it; undefined when there is none yet. */
  record: string | undefined
  parsed: Record<string, unknown> | undefined
  /** What the route has set, and the objects it has got and may have changed in place; undefined is "deleted". */
  live: Map<string, unknown>
}

export function openData(record?: string): SessionData {
  return { record, parsed: undefined, live: new Map() }
}

/** @throws SyntaxError when the record is damaged */
export function readValue(data: SessionData, key: string): unknown {
  if (data.live.has(key) || data.record === undefined) return data.live.get(key)
  data.parsed ??= readValues(data.record)
  const value = Object.hasOwn(data.parsed, key) ? data.parsed[key] : undefined
  if (typeof value === 'object' && value !== null) data.live.set(key, value)
  return value
}

export function keysOf(data: SessionData): string[] {
  if (data.record !== undefined) data.parsed ??= readValues(data.record)
  const keys = new Set([...Object.keys(data.parsed ?? {}), ...data.live.keys()])
  return [...keys].filter((key) => readValue(data, key) !== undefined)
}

/** The lines that differ from the record. A value that was only read costs a comparison, a primitive not even that. */
export function changedLines({ record = '', live }: SessionData): Line[] {
  const lines = [...live].map(([key, value]): Line => [nameOf(key), JSON.stringify(value) ?? ''])
  return lines.filter(([name, json]) => json !== findJson(record, name))
}

/** The same changes over a newer record: what this request has not changed is what the newer record says. */
export function rebase(data: SessionData, record: string): void {
  for (const [key, value] of data.live) {
    const name = nameOf(key)
    const json = findJson(data.record ?? '', name)
    const isUnchanged = JSON.stringify(value) === json
    if (isUnchanged && json !== findJson(record, name)) data.live.delete(key)
  }
  data.record = record
  data.parsed = undefined
}

export function discardChanges(data: SessionData): void {
  data.live.clear()
  data.parsed = undefined
}
