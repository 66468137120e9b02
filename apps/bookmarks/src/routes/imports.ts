import type { Readable } from 'node:stream'
import multipart from '@fastify/multipart'
import { enqueue } from '@repo/queue'
import { problemResponses, sendEvents, type Service } from '@repo/service'
import { currentUser, SignedOut } from '@repo/session'
import { Type, type Static } from 'typebox'
import type { Database } from '../database.ts'
import { limits } from '../domain/bookmark.ts'
import {
  importFromUpload,
  importFromUrl,
  ImportLimitReached,
  ImportNotFound,
  ImportUrlInvalid,
  hasEnded,
  markOf,
  readImport,
  UploadExpired,
  watchImport,
  type Enqueue,
} from '../domain/imports.ts'
import { importBookmarks } from '../jobs/import-bookmarks.ts'
import { createFileReceiver, ImportFileMissing, ImportFormMalformed } from './receive-file.ts'

const ImportUrl = Type.Object(
  { url: Type.String({ maxLength: limits.url, pattern: /^[^\0]*$/.source }) },
  { additionalProperties: false },
)

// Describes the form in the OpenAPI document. It has no `type`, so it accepts a body that is not read yet.
const ImportForm = Type.Unsafe<undefined>({
  properties: { file: { type: 'string', format: 'binary' } },
  required: ['file'],
})

const Id = Type.Object({ id: Type.String({ maxLength: 100, pattern: /^[^\0]*$/.source }) })

const Events = Type.Unsafe<Readable>({ type: 'string', description: 'The `import`, as it is on its own' })

const StartedImport = Type.Object({
  import: Type.Object({ id: Type.String(), status: Type.Literal('queued') }),
})

const ImportBody = Type.Object({
  import: Type.Object({
    id: Type.String(),
    status: Type.Enum(['queued', 'running', 'done', 'failed']),
    total: Type.Integer({ description: 'Links in the file so far; always imported + skipped' }),
    imported: Type.Integer({ description: 'Became new bookmarks' }),
    skipped: Type.Integer({ description: 'There already, or not http or https' }),
    error: Type.Union([Type.String(), Type.Null()], { description: 'Why it failed, for a person' }),
  }),
})

interface Options {
  database: Database
  maxBytes: number
  maxInFlight: number
}

export async function importRoutes(app: Service, { database, ...limits }: Options): Promise<void> {
  await app.register(multipart)
  const { receiveFile, ImportTooLarge } = createFileReceiver(limits.maxBytes)

  app.post(
    '/',
    {
      // Only a long pause ends an upload: see `uploadPauseMs` and `uploadTimeMs`.
      config: { access: 'user', receiveWithinMs: Infinity },
      schema: {
        summary: 'Import a bookmark file, as a form or from its address',
        body: {
          content: {
            'application/json': { schema: ImportUrl },
            'multipart/form-data': { schema: ImportForm },
          },
        },
        response: {
          202: StartedImport,
          ...problemResponses(
            ImportUrlInvalid,
            ImportFileMissing,
            ImportFormMalformed,
            SignedOut,
            UploadExpired,
            ImportTooLarge,
            ImportLimitReached,
          ),
        },
      },
    },
    async (request, reply) => {
      const { id: userId } = currentUser(request)
      const { trace } = request
      // One at a time for each user, so a user with many imports occupies one place in all workers.
      const enqueueImport: Enqueue = (transaction, { importId, userId }) =>
        enqueue(transaction, importBookmarks, { importId }, { oneAtATime: userId, trace })
      const { id } = request.isMultipart()
        ? await receiveFile(request, reply, (upload) =>
            importFromUpload(database, limits, userId, upload, enqueueImport),
          )
        : await importFromUrl(
            database,
            limits,
            userId,
            (request.body as Static<typeof ImportUrl>).url,
            enqueueImport,
          )
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
        summary: 'How far an import is',
        params: Id,
        response: { 200: ImportBody, ...problemResponses(SignedOut, ImportNotFound) },
      },
    },
    async (request) => ({ import: await readImport(database, currentUser(request).id, request.params.id) }),
  )

  app.get(
    '/:id/events',
    {
      config: { access: 'user' },
      schema: {
        summary: 'The same as events, each time that it has come further',
        params: Id,
        response: {
          200: {
            description: 'Events named progress',
            content: { 'text/event-stream': { schema: Events } },
          },
          204: Type.Null({ description: 'It has ended, as the client has seen' }),
          ...problemResponses(SignedOut, ImportNotFound),
        },
      },
    },
    async (request, reply) => {
      const { id } = request.params
      const { id: userId } = currentUser(request)
      const now = await readImport(database, userId, id)
      if (hasEnded(now) && request.headers['last-event-id'] === markOf(now)) return reply.code(204).send(null)
      return sendEvents(request, reply, async function* ({ lastEventId: seen, signal }) {
        for await (const progress of watchImport(database, userId, id, { seen, signal })) {
          yield { id: markOf(progress), event: 'progress', data: { import: progress } }
        }
      })
    },
  )
}
