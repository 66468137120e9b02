import { randomUUID } from 'node:crypto'
import { openSessionStore, session, signIn } from '@repo/session'
import { fleet, type Browser, type Fleet } from '@repo/testing'
import fastify from 'fastify'
import { FormData } from 'undici'

const app = new URL('..', import.meta.url)

export interface Formation extends AsyncDisposable {
  servers: Fleet
  workers: Fleet
  /** A signed-in user with a browser of their own, without the accounts service. With an `id`: that user in one more browser. */
  person(id?: string): Promise<Person>
}

export interface Person {
  id: string
  browser: Browser
  get(path: string): Promise<Answer>
  send(method: string, path: string, json?: unknown): Promise<Answer>
  /** Uploads a file and waits until its import has ended. */
  import(file: string | Uint8Array): Promise<Import>
  /** Waits until an import has ended. */
  watch(id: string, each?: (seen: Import) => void): Promise<Import>
}

export interface Answer {
  status: number
  // oxlint-disable-next-line typescript/no-explicit-any -- whatever came, for expectations to judge
  body: any
  headers: Headers
}

export interface Import {
  id: string
  status: string
  total: number
  imported: number
  skipped: number
  error: string | null
}

/** Two servers and two workers of this app, on one database. */
export async function startFormation(env: Record<string, string> = {}): Promise<Formation> {
  await using starting = new AsyncDisposableStack()
  const servers = starting.use(await fleet(app, { process: 'bookmarks', env }))
  const workers = starting.use(
    await fleet(app, { process: 'bookmarks-worker', env: { ...servers.env, ...env } }),
  )
  const held = starting.move()

  async function person(id: string = randomUUID()): Promise<Person> {
    const browser = servers.browser()
    for (const { name, value } of await signedInCookies(servers.env, id)) browser.cookies.set(name, value)
    return { id, browser, ...actions(browser) }
  }

  return { servers, workers, person, [Symbol.asyncDispose]: () => held.disposeAsync() }
}

/** A form with one file, as a browser sends it. */
export function form(file: string | Uint8Array, field = 'file'): FormData {
  const data = new FormData()
  data.append(field, new Blob([file as BlobPart]), 'bookmarks.html')
  return data
}

function actions(browser: Browser): Omit<Person, 'id' | 'browser'> {
  async function ask(path: string, init = {}): Promise<Answer> {
    const response = await browser.request(`/api/bookmarks${path}`, init)
    const text = await response.text()
    const isJson = response.headers.get('content-type')?.includes('json')
    return {
      status: response.status,
      body: isJson ? JSON.parse(text) : text,
      headers: response.headers as Headers,
    }
  }

  async function watch(id: string, each: (seen: Import) => void = () => {}): Promise<Import> {
    const giveUpAt = performance.now() + 300_000
    for (;;) {
      const { body } = await ask(`/imports/${id}`)
      each(body.import)
      if (['done', 'failed'].includes(body.import.status)) return body.import
      if (performance.now() > giveUpAt) throw new Error(`Still not done: ${JSON.stringify(body)}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }

  return {
    get: (path) => ask(path),
    send: (method, path, body) =>
      ask(path, { method, ...(body instanceof FormData ? { body } : { json: body }) }),
    watch,
    async import(file) {
      const { status, body } = await ask('/imports', { method: 'POST', body: form(file) })
      if (status !== 202) throw new Error(`The upload was answered ${status}: ${JSON.stringify(body)}`)
      return watch(body.import.id)
    },
  }
}

async function signedInCookies(env: Fleet['env'], id: string) {
  await using store = await openSessionStore(env['SESSION_STORE_URL']!)
  const app = fastify()
  await app.register(session, {
    store,
    secrets: env['SESSION_SECRETS']!.split(','),
    origin: env['PUBLIC_ORIGIN']!,
  })
  app.post('/', { config: { access: 'public' } }, async (request) => {
    await signIn(request, { id })
    return {}
  })
  const { cookies } = await app.inject({ method: 'POST', url: '/' })
  await app.close()
  return cookies
}
