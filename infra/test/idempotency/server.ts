// A service with a route that takes orders, as any app would write it.
import { join } from 'node:path'
import { loadEnv } from '@repo/config'
import { databaseEnv, type DatabaseOf, type GeneratedClient } from '@repo/database'
import { listAppTables } from '@repo/database/app-tables'
import { answerOnce, idempotency, type RawQueries } from '@repo/idempotency'
import { createService, runService, serviceEnv } from '@repo/service'
import { Type } from 'typebox'

/** What the clients of all apps have. */
interface Client extends GeneratedClient, RawQueries {
  $transaction<T>(work: (tx: Client) => Promise<T>): Promise<T>
}

const env = loadEnv(Type.Object({ ...serviceEnv, ...databaseEnv }), process.env)
// Prisma's client of the first app with tables: this test uses none of them.
const apps = join(import.meta.dirname, '../../../apps')
const { openDatabase } = (await import(join(apps, listAppTables(apps)[0]!.app, 'src/database.ts'))) as {
  openDatabase(url: string): DatabaseOf<Client>
}
const database = openDatabase(env.DATABASE_URL)
const app = createService({ name: 'orders', env, checks: { database } })

const Order = Type.Object({ id: Type.String(), title: Type.String() })

await app.register(idempotency, { ownerOf: (request) => `network:${request.network}` })
app.post(
  '/orders',
  {
    config: { access: 'public', idempotency: { required: true } },
    schema: { body: Type.Object({ title: Type.String() }), response: { 201: Order } },
  },
  async (request, reply) =>
    await answerOnce(reply, database, async (tx) => {
      const [order] = await tx.$queryRawUnsafe<[{ id: string; title: string }]>(
        'INSERT INTO orders (title) VALUES ($1) RETURNING id::text, title',
        request.body.title,
      )
      // Most processes are killed in here: after the effect, before the answer.
      await tx.$queryRawUnsafe('SELECT pg_sleep(0.2)::text')
      void reply.code(201).header('location', `/orders/${order.id}`)
      return order
    }),
)
app.addHook('onClose', () => database[Symbol.asyncDispose]())

await runService(app, env)
