import { enqueue } from '@repo/queue'
import { problemResponses, type Service } from '@repo/service'
import { currentUser, SignedOut } from '@repo/session'
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

/** The items of the user who is signed in. */
export async function itemRoutes(app: Service, { database }: { database: Database }): Promise<void> {
  app.get(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'My newest items',
        response: { 200: Type.Object({ items: Type.Array(ItemBody) }), ...problemResponses(SignedOut) },
      },
    },
    async (request) => ({ items: await listItems(database, currentUser(request).id) }),
  )

  app.post(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'Add an item',
        body: NewItem,
        response: { 201: AddedItem, ...problemResponses(SignedOut) },
      },
    },
    async (request, reply) => {
      const { trace } = request
      const item = await addItem(database, currentUser(request).id, request.body.title, (tx, itemId) =>
        enqueue(tx, finishJob, { itemId }, { trace }),
      )
      return reply.code(201).header('location', `/api/any-name/${item.id}`).send(item)
    },
  )

  app.get(
    '/:id',
    {
      config: { access: 'user' },
      schema: {
        summary: 'One item',
        params: ItemId,
        response: { 200: ItemBody, ...problemResponses(SignedOut, AnyNameItemNotFound) },
      },
    },
    async (request) => readItem(database, currentUser(request).id, request.params.id),
  )
}
