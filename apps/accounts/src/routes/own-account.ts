import { problemResponses, type Service } from '@repo/service'
import { currentUser, listSessions, SessionNotFresh, SignedOut } from '@repo/session'
import { Type } from 'typebox'
import { AccountGone, readUser, type Accounts } from '../domain/accounts.ts'
import { closeAccount } from '../domain/close-account.ts'
import { listEvents } from '../domain/security-events.ts'
import { sessionOf, UserSchema } from './fields.ts'
import { SessionSchema, Time } from './sessions.ts'

const EventSchema = Type.Object({
  id: Type.String(),
  event: Type.String(),
  at: Time,
  network: Type.String(),
  userAgent: Type.String(),
})

/** What the law of many countries gives everybody: a copy of all that is stored of them, and the end of it. */
export async function ownAccountRoutes(app: Service, { accounts }: { accounts: Accounts }): Promise<void> {
  app.get(
    '/me/export',
    {
      config: { access: 'fresh-user' },
      schema: {
        summary: 'All that this service has stored of me, as a file',
        response: {
          200: Type.Object({
            user: UserSchema,
            sessions: Type.Array(SessionSchema),
            events: Type.Array(EventSchema),
          }),
          ...problemResponses(SignedOut, AccountGone, SessionNotFresh),
        },
      },
    },
    async (request, reply) => {
      const { id } = currentUser(request)
      reply.header('content-disposition', 'attachment; filename="account.json"')
      return {
        user: await readUser(accounts, id),
        sessions: await listSessions(request, id),
        events: await listEvents(accounts.database, id),
      }
    },
  )

  app.get(
    '/me/events',
    {
      config: { access: 'user' },
      schema: {
        summary: 'What happened to my account, the newest 100',
        response: {
          200: Type.Object({ events: Type.Array(EventSchema) }),
          ...problemResponses(SignedOut),
        },
      },
    },
    async (request) => ({ events: await listEvents(accounts.database, currentUser(request).id) }),
  )

  app.delete(
    '/me',
    {
      config: { access: 'fresh-user' },
      schema: {
        summary: 'Close my account for good',
        response: { 204: Type.Null(), ...problemResponses(SignedOut, AccountGone, SessionNotFresh) },
      },
    },
    async (request, reply) => {
      await closeAccount(accounts, currentUser(request).id, sessionOf(request))
      return reply.code(204).send(null)
    },
  )
}
