import { problemResponses, type Service } from '@repo/service'
import { SignedOut } from '@repo/session'
import { Type } from 'typebox'
import { addSearch } from '../domain/recent-searches.ts'
import { SearchText } from './bookmarks.ts'

declare module 'fastify' {
  interface Session {
    /** The newest first. */
    recentSearches?: string[]
  }
}

const NewSearch = Type.Object(
  { q: Type.String({ ...SearchText, minLength: 1 }) },
  { additionalProperties: false },
)

const RecentSearches = Type.Object({ searches: Type.Array(Type.String()) })

/**
 * The recent searches of one browser. They are in its session and not in a table, because they belong to the device and end
 * with the sign-out.
 */
export async function searchRoutes(app: Service): Promise<void> {
  app.get(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'What I searched for last in this browser, the newest first',
        response: { 200: RecentSearches, ...problemResponses(SignedOut) },
      },
    },
    async ({ session }) => ({ searches: session.recentSearches ?? [] }),
  )

  // A route of its own: if each search stored its text, a page that searches while one types would write with every read.
  app.post(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'Remember a search',
        body: NewSearch,
        response: { 200: RecentSearches, ...problemResponses(SignedOut) },
      },
    },
    async ({ session, body: { q } }) => {
      // Two tabs may do this at once, in two processes. An assignment would drop the search of one of them.
      const searches = await session.update('recentSearches', (recent = []) => addSearch(recent, q))
      return { searches: searches ?? [] }
    },
  )
}
