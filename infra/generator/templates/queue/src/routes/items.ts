import { enqueue } from '@repo/queue'
import { problemResponses, type Service } from '@repo/service'
import { Type } from 'typebox'
import type { Database } from '../database.ts'
import { addItem, AnyNameItemNotFound, listItems, readItem } from '../domain/items.ts'
import { finishJob } from '../jobs/finish-item.ts'

const Time = Type.Unsafe<Date>(Type.String({ format: 'date-time' }))

const NewItem = Type.Object(
  // Postgres cannot store NUL. Without the pattern, a request with NUL would get 500.
  { title: Type.String({ minLength: 1, maxLength: 200, pattern: /^[^\0]*$/.source }) },
  { additionalProperties: false },
)

const ItemBody = Type.Object({
  id: Type.String(),
  title: Type.String(),
  doneAt: Type.Union([Time, Type.Null()]),
  createdAt: Time,
})

// Without `doneAt`, which may be wrong when the answer arrives: a worker may be faster.
const AddedItem = Type.Omit(ItemBody, ['doneAt'])

const ItemId = Type.Object({ id: Type.String({ format: 'uuid' }) })

/** Items that everyone may read and add. The access `user` needs sessions: without them the service does not start. */
export async function itemRoutes(app: Service, { database }: { database: Database }): Promise<void> {
  app.get(
    '/',
    {
      config: { access: 'public' },
      schema: {
        summary: 'The newest items',
        response: { 200: Type.Object({ items: Type.Array(ItemBody) }) },
      },
    },
    async () => ({ items: await listItems(database) }),
  )

  app.post(
    '/',
    {
      config: { access: 'public' },
      schema: { summary: 'Add an item', body: NewItem, response: { 201: AddedItem } },
    },
    async (request, reply) => {
      const { trace } = request
      const item = await addItem(database, request.body.title, (tx, itemId) =>
        enqueue(tx, finishJob, { itemId }, { trace }),
      )
      return reply.code(201).header('location', `/api/any-name/${item.id}`).send(item)
    },
  )

  app.get(
    '/:id',
    {
      config: { access: 'public' },
      schema: {
        summary: 'One item',
        params: ItemId,
        response: { 200: ItemBody, ...problemResponses(AnyNameItemNotFound) },
      },
    },
    async (request) => readItem(database, request.params.id),
  )
}
