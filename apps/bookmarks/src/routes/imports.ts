import multipart from '@fastify/multipart'
import type { Database } from '@repo/database'
import { enqueue } from '@repo/queue'
import type { Service } from '@repo/service'
import { currentUser } from '@repo/session'
import { Type, type Static } from 'typebox'
import { limits } from '../domain/bookmark.ts'
import { importFromUpload, importFromUrl, readImport, type Enqueue } from '../domain/imports.ts'
import { importBookmarks } from '../jobs/import-bookmarks.ts'
import { receiveFile } from './receive-file.ts'

const ImportUrl = Type.Object(
  { url: Type.String({ maxLength: limits.url, pattern: '^[^\\u0000]*$' }) },
  { additionalProperties: false },
)

// Describes the form to readers of the OpenAPI document. Without `type` it lets pass that the body is not read yet.
const ImportForm = Type.Unsafe<undefined>({
  properties: { file: { type: 'string', format: 'binary' } },
  required: ['file'],
})

const StartedImport = Type.Object({
  import: Type.Object({ id: Type.String(), status: Type.Literal('queued') }),
})

const ImportBody = Type.Object({
  import: Type.Object({
    id: Type.String(),
    status: Type.Enum(['queued', 'running', 'done', 'failed']),
    total: Type.Integer(),
    imported: Type.Integer(),
    skipped: Type.Integer(),
    error: Type.Union([Type.String(), Type.Null()]),
  }),
})

const enqueueImport: Enqueue = (transaction, importId) => enqueue(transaction, importBookmarks, { importId })

interface Options {
  database: Database
  maxBytes: number
}

export async function importRoutes(app: Service, { database, maxBytes }: Options): Promise<void> {
  await app.register(multipart)

  app.post(
    '/',
    {
      config: { access: 'user' },
      schema: {
        body: {
          content: {
            'application/json': { schema: ImportUrl },
            'multipart/form-data': { schema: ImportForm },
          },
        },
        response: { 202: StartedImport },
      },
    },
    async (request, reply) => {
      const { id: userId } = currentUser(request)
      const { id } = request.isMultipart()
        ? await importFromUpload(database, userId, await receiveFile(request, reply, maxBytes), enqueueImport)
        : await importFromUrl(database, userId, (request.body as Static<typeof ImportUrl>).url, enqueueImport)
      return reply
        .code(202)
        .header('location', `/api/bookmarks/imports/${id}`)
        .send({ import: { id, status: 'queued' } })
    },
  )

  app.get(
    '/:id',
    {
      config: { access: 'user' },
      schema: {
        params: Type.Object({ id: Type.String({ maxLength: 100, pattern: '^[^\\u0000]*$' }) }),
        response: { 200: ImportBody },
      },
    },
    async (request) => ({ import: await readImport(database, currentUser(request).id, request.params.id) }),
  )
}
