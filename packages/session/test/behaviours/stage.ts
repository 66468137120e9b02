import { request } from 'node:http'

/** One process of the server under test. */
export interface ServerProcess {
  readonly url: string
  readonly isRunning: boolean
  /** `kill -9`. */
  kill(): Promise<void>
  /** SIGTERM; resolves with the milliseconds it took and the exit code. */
  stop(): Promise<{ tookMs: number; code: number | null }>
  output(): string
}

/** The store of a test: direct access to its contents, and its faults. */
export interface StoreUnderTest {
  readonly name: string
  readonly url: string
  /** Every key and every value, as text. */
  dump(): Promise<{ key: string; value: string; leftMs: number }[]>
  /** The key of a session in this store, from the SHA-256 of its id. */
  keyOf(idHash: string): string
  /** Removes a key, as if it had expired. */
  purge(key: string): Promise<void>
  /** Replaces a value and keeps its expiry. */
  corrupt(key: string, value: string): Promise<void>
  /** Another URL of the store. `countCommands` returns the number of commands through it since the last call. */
  counted(): Promise<{ url: string; countCommands(): Promise<number> } & AsyncDisposable>
  freeze(): Promise<void>
  thaw(): Promise<void>
  kill(): Promise<void>
  restart(): Promise<void>
  /** Makes writes fail as in a full store, until the disposal. */
  fillUp?(): Promise<AsyncDisposable>
  /** Makes writes fail as on a replica, until the disposal. */
  makeReadOnly?(): Promise<AsyncDisposable>
  /** The behaviours that this store cannot fulfil, by number, with the reason. */
  readonly cannot: Readonly<Record<number, string>>
  /** The longest time until it is usable after a thaw and after a restart. */
  readonly recoveryMs: { thaw: number; restart: number }
  /** The resolution of its expiry times. */
  readonly tickMs: number
}

/** The servers of a behaviour: a store, two processes that use it, and more on demand. */
export interface Stage {
  readonly store: StoreUnderTest
  readonly a: ServerProcess
  readonly b: ServerProcess
  /** Starts one more process. `env` overrides its usual variables. */
  start(
    env?: Record<string, string>,
    options?: { whetherReady?: boolean },
  ): Promise<ServerProcess & AsyncDisposable>
  readonly secrets: readonly string[]
}

export interface Answer {
  status: number
  headers: Record<string, string | string[] | undefined>
  setCookies: string[]
  text: string
  // oxlint-disable-next-line typescript/no-explicit-any -- the words of the behaviours are in behaviour-routes.ts
  json: any
  tookMs: number
}

export interface AskOptions {
  json?: unknown
  headers?: Record<string, string>
}

/** A browser with one cookie jar, which can send requests to any process. */
export interface Visitor {
  cookies: Map<string, string>
  ask(server: ServerProcess, method: string, path: string, options?: AskOptions): Promise<Answer>
  /** Another browser with the same cookies. */
  copy(): Visitor
}

export function openVisitor(cookies = new Map<string, string>()): Visitor {
  return {
    cookies,
    copy: () => openVisitor(new Map(cookies)),
    async ask(server, method, path, options = {}) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const answer = await ask(server.url + path, method, {
        ...options,
        headers: { ...(cookie && { cookie }), ...options.headers },
      })
      for (const line of answer.setCookies) keep(cookies, line)
      return answer
    },
  }
}

function keep(cookies: Map<string, string>, line: string): void {
  const [pair = '', ...attributes] = line.split('; ')
  const [name = '', value = ''] = pair.split(/=(.*)/s)
  const expires = attributes.find((attribute) => attribute.toLowerCase().startsWith('expires='))?.slice(8)
  const isOver = attributes.includes('Max-Age=0') || (expires && new Date(expires).getTime() <= Date.now())
  if (isOver || value === '') cookies.delete(name)
  else cookies.set(name, value)
}

export function ask(url: string, method: string, { json, headers = {} }: AskOptions = {}): Promise<Answer> {
  const started = performance.now()
  const body = json === undefined ? undefined : JSON.stringify(json)
  const content =
    body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const outgoing = request(url, { method, headers: { ...content, ...headers } }, async (incoming) => {
      let text = ''
      try {
        for await (const chunk of incoming.setEncoding('utf8')) text += chunk
      } catch (error) {
        return reject(error)
      }
      resolve({
        status: incoming.statusCode!,
        headers: incoming.headers,
        setCookies: incoming.headers['set-cookie'] ?? [],
        text,
        json: parse(text),
        tookMs: performance.now() - started,
      })
    })
    outgoing.setTimeout(10_000, () => outgoing.destroy(new Error(`no answer from ${url} within 10 s`)))
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Polls until the condition is true. A failed assertion ends it at once. */
export async function until(
  claim: string,
  isTrue: () => boolean | Promise<boolean>,
  deadlineMs = 5000,
): Promise<number> {
  const started = performance.now()
  let last: unknown
  while (performance.now() - started < deadlineMs) {
    try {
      if (await isTrue()) return performance.now() - started
    } catch (error) {
      if ((error as Error).name === 'AssertionError') throw error
      last = error
    }
    await pause(10)
  }
  throw new Error(`not so within ${deadlineMs} ms: ${claim}`, { cause: last })
}

/** Waits, for behaviours that are about time. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
