// A service with a forgotten await: it calls one function of a package, and ignores the promise that it returns.
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadEnv } from '@repo/config'
import { databaseEnv, type DatabaseOf, type GeneratedClient } from '@repo/database'
import { listAppTables } from '@repo/database/app-tables'
import { makeExtensions, migrate, readMigrationStatus, settleMigration } from '@repo/database/migrate'
import {
  defineJob,
  enqueue,
  listFailed,
  measureQueue,
  migrateQueue,
  moveJobs,
  retryFailed,
  runJobs,
} from '@repo/queue'
import { createService, runService, serviceEnv } from '@repo/service'
import { endAllSessions, endSession, listSessions, openSessionStore, session } from '@repo/session'
import { sessionEnv, signIn, signOut } from '@repo/session'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'

/** What the clients of all apps have. */
interface Client extends GeneratedClient {
  $queryRawUnsafe<T>(sql: string, ...values: unknown[]): Promise<T>
  $transaction<T>(work: (tx: Client) => Promise<T>): Promise<T>
}

const env = loadEnv(Type.Object({ ...serviceEnv, ...sessionEnv, ...databaseEnv }), process.env)
const { DATABASE_URL: url } = env
// The client of the first app with tables: an unavailable database behaves the same for all apps.
const apps = join(import.meta.dirname, '../../../apps')
const tables = listAppTables(apps)[0]!
const { openDatabase } = (await import(join(apps, tables.app, 'src/database.ts'))) as {
  openDatabase(url: string, options: { connectWithinMs: number }): DatabaseOf<Client>
}
const database = openDatabase(url, { connectWithinMs: 100 })
const store = await openSessionStore(env.SESSION_STORE_URL)
const app = createService({ name: 'forgetful', env })
// keep: queue
const job = defineJob({ name: 'forgotten', payload: Type.Object({}) })
// /keep
const user = { id: 'ada' }

const calls: Record<string, (request: FastifyRequest) => Promise<unknown> | undefined> = {
  '@repo/session signIn': (request) => signIn(request, user),
  '@repo/session signOut': (request) => signOut(request),
  '@repo/session listSessions': (request) => listSessions(request, user.id),
  '@repo/session endSession': async (request) => endSession(request, user.id, 'another'),
  '@repo/session endAllSessions': (request) => endAllSessions(request, user.id),
  '@repo/session endAllSessions of an app': () => endAllSessions(app, user.id),
  '@repo/session session.save': ({ session }) => (session.set('n' as 'user', user), session.save()),
  '@repo/session session.update': ({ session }) => session.update('user', () => user),
  '@repo/session session.reload': ({ session }) => session.reload(),
  '@repo/session session.destroy': ({ session }) => session.destroy(),
  '@repo/session session.regenerate': ({ session }) => session.regenerate(['user']),
  '@repo/session store.check': () => store.check(),
  '@repo/session store.load': () => store.load('key', 1000),
  '@repo/session openSessionStore': () => openSessionStore('nothing://'),
  '@repo/database database.check': () => database.check(),
  '@repo/database database.query': () => database.query('SELECT 1', []),
  '@repo/database database.$transaction': () => database.$transaction((tx) => tx.$queryRawUnsafe('SELECT 1')),
  '@repo/database/migrate migrate': () => migrate(url, tables),
  '@repo/database/migrate makeExtensions': () => makeExtensions(url, [tables]),
  '@repo/database/migrate readMigrationStatus': () => readMigrationStatus(url, tables),
  '@repo/database/migrate settleMigration': () => settleMigration(url, tables, 'first', 'done'),
  // keep: queue
  '@repo/queue enqueue': () => enqueue(database, job, {}),
  '@repo/queue listFailed': () => listFailed(database),
  '@repo/queue retryFailed': () => retryFailed(database),
  '@repo/queue measureQueue': () => measureQueue(database),
  '@repo/queue migrateQueue': () => migrateQueue(url, 'nowhere'),
  '@repo/queue moveJobs': () => moveJobs(url, 'nobody', 'nowhere'),
  '@repo/queue runJobs': () =>
    runJobs(url, { database, jobs: [], schedules: [{ job, cron: 'never', payload: {} }], log: app.log }),
  // /keep
  'a function of the app': async (request) => {
    await sleep(1)
    await signOut(request)
  },
}

await app.register(session, { store, secrets: env.SESSION_SECRETS, origin: env.PUBLIC_ORIGIN })
app.get('/calls', { config: { access: 'public' } }, async () => Object.keys(calls))
app.post('/sign-in', { config: { access: 'public' } }, async (request) => signIn(request, user))
app.post(
  '/calls/:name',
  { config: { access: 'public' }, schema: { params: Type.Object({ name: Type.String() }) } },
  async (request) => {
    void calls[request.params.name]!(request)
    return {}
  },
)
app.addHook('onClose', async () => {
  await database[Symbol.asyncDispose]()
  await store[Symbol.asyncDispose]()
})

await runService(app, env)
