import { isDeepStrictEqual } from 'node:util'
import { pollUntil } from '@repo/testing/poll-until'
import type { Formation } from '../../formation.ts'
import type { Deployment } from '../deployment/open-deployment.ts'
import type { Answer, Person } from './person.ts'

/** Requests that the formation accepts, from the OpenAPI documents of its services. New services are found by themselves. */
export interface Work {
  /** Paths that answer a signed-in user with 200. */
  reads: string[]
  /** Paths that take a JSON body and answer 201 with a `Location`, where a GET returns what was written. */
  writes: Write[]
}

export interface Write {
  path: string
  /** A body that contains `unique`, so that no other request has the same. */
  body(unique: string): unknown
  /** The properties that a later read must return unchanged. */
  kept: string[]
}

/** The part of an OpenAPI 3.1 document that is read here. */
interface Document {
  paths: Record<string, Partial<Record<'get' | 'post', Operation>>>
}

interface Operation {
  parameters?: { in: string; required?: boolean }[]
  requestBody?: { content?: Record<string, { schema?: Schema }> }
}

export interface Schema {
  type?: string
  properties?: Record<string, Schema>
  required?: string[]
  items?: Schema
  enum?: unknown[]
  const?: unknown
  anyOf?: Schema[]
  format?: string
  minimum?: number
  minLength?: number
  maxLength?: number
  minItems?: number
}

/**
 * Enough reads that the process that wrote answers one of them. A property that only this process returns is expected of all
 * processes: so a service that keeps data in one process is found.
 */
const READS = 8

/** Reads the OpenAPI document of every service, tries its GET and POST operations, and keeps those that work. */
export async function findWork(deployment: Deployment, person: Person): Promise<Work> {
  const work: Work = { reads: [], writes: [] }
  for (const type of services(deployment.formation)) {
    const [place] = deployment.inhabited(type)
    if (!place) continue
    if (type.route === '/') {
      work.reads.push('/')
      continue
    }
    const answer = await fetch(`http://127.0.0.1:${place.port}/openapi.json`)
    const { paths } = (await answer.json()) as Document
    for (const [path, { get, post }] of Object.entries(paths)) {
      if (path.includes('{')) continue
      if (get && (await answersWithJson(person, path))) work.reads.push(path)
      const schema = post?.requestBody?.content?.['application/json']?.schema
      const write = schema && (await tryWrite(person, path, schema))
      if (write) work.writes.push(write)
    }
  }
  return work
}

function services({ running }: Formation) {
  return running.filter(({ route }) => route !== undefined)
}

async function answersWithJson(person: Person, path: string): Promise<boolean> {
  const { status, headers } = await person.ask({ method: 'GET', path })
  return status === 200 && String(headers['content-type']).startsWith('application/json')
}

async function tryWrite(person: Person, path: string, schema: Schema): Promise<Write | undefined> {
  const body = (unique: string): unknown => example(schema, unique)
  const answer = await person.ask({ method: 'POST', path, json: body('first') })
  const { location } = answer.headers
  if (answer.status !== 201 || typeof location !== 'string') return undefined
  const read = (): Promise<Answer> => person.ask({ method: 'GET', path: location })
  await pollUntil(
    `what was written by POST ${path} is at ${location}`,
    async () => (await read()).status === 200,
  )
  const written = JSON.parse(answer.text) as Record<string, unknown>
  const reads: (typeof written)[] = []
  while (reads.length < READS) reads.push(JSON.parse((await read()).text))
  const kept = Object.keys(written).filter((key) =>
    reads.some((read) => isDeepStrictEqual(written[key], read[key])),
  )
  return kept.length > 0 ? { path, body, kept } : undefined
}

/** A value that matches the schema. Strings are URLs, which most fields accept. */
export function example(schema: Schema, unique: string): unknown {
  if (schema.const !== undefined) return schema.const
  if (schema.enum) return schema.enum[0]
  if (schema.anyOf) return example(schema.anyOf[0]!, unique)
  switch (schema.type) {
    case 'object':
      return Object.fromEntries(
        (schema.required ?? []).map((name) => [name, example(schema.properties?.[name] ?? {}, unique)]),
      )
    case 'array':
      return Array.from({ length: schema.minItems ?? 0 }, () => example(schema.items ?? {}, unique))
    case 'integer':
    case 'number':
      return schema.minimum ?? 1
    case 'boolean':
      return true
    case 'null':
      return null
    default:
      return text(schema, unique)
  }
}

function text({ format, minLength = 0, maxLength = 1000 }: Schema, unique: string): string {
  if (format === 'email') return `${unique}@prove.example`
  if (format === 'date-time') return '2026-01-01T00:00:00Z'
  const whole = `https://prove.example/${unique}`
  return (whole.length <= maxLength ? whole : unique.slice(-maxLength)).padEnd(minLength, '-')
}
