import { QueriesBusy, QueryTooSlow, QueryUnderWay } from '@repo/database'
import { problemResponses, type Service } from '@repo/service'
import { currentUser, SignedOut } from '@repo/session'
import { Type } from 'typebox'
import type { Database } from '../database.ts'
import { limits } from '../domain/bookmark.ts'
import {
  addBookmark,
  BookmarkExists,
  BookmarkNotFound,
  BookmarkUrlInvalid,
  changeBookmark,
  listBookmarks,
  readBookmark,
  removeBookmark,
  searchLimits,
  type Bookmark,
} from '../domain/bookmarks.ts'
import { CursorInvalid } from '../domain/cursor.ts'
import { formatFolderPath } from '../domain/folder-path.ts'
import { BookmarkQuotaExceeded, type Quota } from '../domain/quota.ts'

// Postgres stores no NUL. Without this pattern, a request with one would get 500.
const Text = (maxLength: number) => Type.String({ maxLength, pattern: /^[^\0]*$/.source })

const Url = Text(limits.url)
const Title = Text(limits.title)
const Notes = Text(limits.notes)
const Tag = Type.String({
  maxLength: limits.tag,
  pattern: /^[^\0,]*$/.source,
  description: 'Without a comma, which separates tags in bookmark files',
})
const Tags = Type.Array(Tag, { maxItems: limits.tags })

const NewBookmark = Type.Object(
  { url: Url, title: Type.Optional(Title), notes: Type.Optional(Notes), tags: Type.Optional(Tags) },
  { additionalProperties: false },
)

const BookmarkChange = Type.Partial(NewBookmark, { minProperties: 1, additionalProperties: false })

const BookmarkBody = Type.Object({
  id: Type.String(),
  url: Type.String(),
  title: Type.String(),
  notes: Type.String(),
  tags: Type.Array(Type.String()),
  folder: Type.String({ description: 'As `Dev/PHP`; a slash inside a name has a backslash before it' }),
  createdAt: Type.String({ format: 'date-time' }),
})

const BookmarkPage = Type.Object({
  bookmarks: Type.Array(BookmarkBody),
  nextCursor: Type.Union([Type.String(), Type.Null()]),
})

/** A text to search for. Also what the recent searches keep. */
export const SearchText = Text(200)

const BookmarkQuery = Type.Object({
  limit: Type.Integer({ minimum: 1, maximum: 200, default: 50 }),
  cursor: Type.Optional(Text(200)),
  q: Type.Optional(Type.String({ ...SearchText, description: 'In title, address or notes, in any case' })),
  tag: Type.Optional(Type.String({ ...Text(limits.tag), description: 'Exactly so' })),
})

const BookmarkId = Type.Object({ id: Text(100) })

interface Options {
  database: Database
  quota: Quota
}

export async function bookmarkRoutes(app: Service, { database, quota }: Options): Promise<void> {
  const limitSearch = database.limitQueries(searchLimits)

  app.get(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'My bookmarks, the newest first',
        querystring: BookmarkQuery,
        response: {
          200: BookmarkPage,
          ...problemResponses(CursorInvalid, SignedOut, QueryTooSlow, QueryUnderWay, QueriesBusy),
        },
      },
    },
    async (request) => {
      const { id } = currentUser(request)
      const { bookmarks, nextCursor } = await listBookmarks(
        database,
        limitSearch,
        id,
        request.query,
        request.signal,
      )
      return { bookmarks: bookmarks.map(toBody), nextCursor }
    },
  )

  app.post(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'Add a bookmark',
        body: NewBookmark,
        response: {
          201: BookmarkBody,
          ...problemResponses(BookmarkUrlInvalid, SignedOut, BookmarkQuotaExceeded, BookmarkExists),
        },
      },
    },
    async (request, reply) => {
      const bookmark = await addBookmark(database, quota, currentUser(request).id, request.body)
      return reply.code(201).header('location', `/api/bookmarks/${bookmark.id}`).send(toBody(bookmark))
    },
  )

  app.get(
    '/:id',
    {
      config: { access: 'user' },
      schema: {
        summary: 'One bookmark',
        params: BookmarkId,
        response: { 200: BookmarkBody, ...problemResponses(SignedOut, BookmarkNotFound) },
      },
    },
    async (request) => toBody(await readBookmark(database, currentUser(request).id, request.params.id)),
  )

  app.patch(
    '/:id',
    {
      config: { access: 'user' },
      schema: {
        summary: 'Change what is named, leave the rest',
        params: BookmarkId,
        body: BookmarkChange,
        response: {
          200: BookmarkBody,
          ...problemResponses(
            BookmarkUrlInvalid,
            SignedOut,
            BookmarkQuotaExceeded,
            BookmarkNotFound,
            BookmarkExists,
          ),
        },
      },
    },
    async (request) => {
      const { id } = currentUser(request)
      return toBody(await changeBookmark(database, quota, id, request.params.id, request.body))
    },
  )

  app.delete(
    '/:id',
    {
      config: { access: 'user' },
      schema: {
        summary: 'Remove a bookmark',
        params: BookmarkId,
        response: { 204: Type.Null(), ...problemResponses(SignedOut, BookmarkNotFound) },
      },
    },
    async (request, reply) => {
      await removeBookmark(database, currentUser(request).id, request.params.id)
      return reply.code(204).send(null)
    },
  )
}

function toBody({ folder, createdAt, ...bookmark }: Bookmark) {
  return { ...bookmark, folder: formatFolderPath(folder), createdAt: createdAt.toISOString() }
}
