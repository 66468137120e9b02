import { Readable } from 'node:stream'
import { problemResponses, type Service } from '@repo/service'
import { currentUser, SignedOut } from '@repo/session'
import { Type } from 'typebox'
import type { Database } from '../database.ts'
import { exportBookmarks } from '../domain/bookmarks.ts'
import { writeBookmarkFile } from '../domain/write-bookmark-file.ts'

const BookmarkFile = Type.Unsafe<Readable>({
  type: 'string',
  description: 'A bookmark file ("Netscape bookmark file"), as browsers import it',
})

export async function exportRoutes(app: Service, { database }: { database: Database }): Promise<void> {
  app.get(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'All my bookmarks as a file, folder after folder',
        response: {
          200: { description: 'The file', content: { 'text/html': { schema: BookmarkFile } } },
          ...problemResponses(SignedOut),
        },
      },
    },
    async (request, reply) => {
      const batches = exportBookmarks(database, currentUser(request).id)
      return reply
        .type('text/html; charset=utf-8')
        .header('content-disposition', 'attachment; filename="bookmarks.html"')
        .send(Readable.from(writeBookmarkFile(batches), { objectMode: false }))
    },
  )
}
