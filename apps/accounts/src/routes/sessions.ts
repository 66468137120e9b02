import createError from '@fastify/error'
import { problemResponses, type Service } from '@repo/service'
import { currentUser, endAllSessions, endSession, listSessions, SignedOut } from '@repo/session'
import { Type } from 'typebox'
import type { Database } from '../database.ts'
import { noteEvent } from '../domain/security-events.ts'

const SessionNotFound = createError('SESSION_NOT_FOUND', 'You have no such session.', 404)

export const Time = Type.Unsafe<Date>(Type.String({ format: 'date-time' }))

export const SessionSchema = Type.Object({
  id: Type.String({ description: 'Names the session and opens nothing' }),
  createdAt: Time,
  lastSeenAt: Time,
  userAgent: Type.String(),
  current: Type.Boolean({ description: 'The one that this very request belongs to' }),
})

/** Lists the sessions of the signed-in user, and ends them. */
export async function sessionRoutes(app: Service, { database }: { database: Database }): Promise<void> {
  app.get(
    '/sessions',
    {
      config: { access: 'user' },
      schema: {
        summary: 'My sessions, newest first',
        response: {
          200: Type.Object({ sessions: Type.Array(SessionSchema) }),
          ...problemResponses(SignedOut),
        },
      },
    },
    async (request) => ({ sessions: await listSessions(request, currentUser(request).id) }),
  )

  app.delete(
    '/sessions/:id',
    {
      config: { access: 'user' },
      schema: {
        summary: 'End one of my sessions',
        params: Type.Object({ id: Type.String({ maxLength: 100 }) }),
        response: { 204: Type.Null(), ...problemResponses(SignedOut, SessionNotFound) },
      },
    },
    async (request, reply) => {
      const isEnded = await endSession(request, currentUser(request).id, request.params.id)
      if (!isEnded) throw new SessionNotFound()
      await noteEvent(database, request.origin, 'session-ended', currentUser(request).id)
      return reply.code(204).send(null)
    },
  )

  app.delete(
    '/sessions',
    {
      config: { access: 'user' },
      schema: {
        summary: 'End all my sessions but this one',
        response: { 204: Type.Null(), ...problemResponses(SignedOut) },
      },
    },
    async (request, reply) => {
      const { id } = currentUser(request)
      await endAllSessions(request, id, { except: 'current' })
      await noteEvent(database, request.origin, 'sessions-ended', id)
      return reply.code(204).send(null)
    },
  )
}
