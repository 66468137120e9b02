import { problemResponses, type Access, type Service } from '@repo/service'
import { endAllSessions, listSessions, RoleMissing, SignedOut } from '@repo/session'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Database } from '../database.ts'
import {
  AccountUnknown,
  findAccount,
  lockAccount,
  readAccount,
  unlockAccount,
  type Administration,
} from '../domain/administer.ts'
import { EmailInvalid, MAX_EMAIL_LENGTH } from '../domain/email.ts'
import { noteEvent } from '../domain/security-events.ts'
import { SessionSchema, Time } from './sessions.ts'

/** The role that may use these routes. */
const access: Access = { role: 'admin' }

const AccountAnswer = Type.Object({
  account: Type.Object({
    id: Type.String({ format: 'uuid' }),
    email: Type.String(),
    createdAt: Time,
    roles: Type.Array(Type.String()),
    lockedAt: Type.Union([Time, Type.Null()]),
  }),
})
const params = Type.Object({ id: Type.String({ format: 'uuid' }) })

/**
 * What an administrator does in a browser. Roles are not among it: only who may run a process beside this one gives roles
 * (`src/command.ts`), so that a stolen session of an administrator makes no second one.
 */
export async function adminRoutes(app: Service, { database }: { database: Database }): Promise<void> {
  function administrationOf(request: FastifyRequest): Administration {
    return {
      database,
      endSessions: (userId) => endAllSessions(request, userId),
      origin: request.origin,
    }
  }

  app.get(
    '/accounts',
    {
      config: { access },
      schema: {
        summary: 'The account with this email',
        querystring: Type.Object({ email: Type.String({ maxLength: MAX_EMAIL_LENGTH }) }),
        response: {
          200: AccountAnswer,
          ...problemResponses(SignedOut, RoleMissing, EmailInvalid, AccountUnknown),
        },
      },
    },
    async (request) => ({ account: await findAccount(database, request.query.email) }),
  )

  app.get(
    '/accounts/:id/sessions',
    {
      config: { access },
      schema: {
        summary: 'The sessions of an account, newest first',
        params,
        response: {
          200: Type.Object({ sessions: Type.Array(SessionSchema) }),
          ...problemResponses(SignedOut, RoleMissing, AccountUnknown),
        },
      },
    },
    async (request) => {
      const { id } = await readAccount(database, request.params.id)
      return { sessions: await listSessions(request, id) }
    },
  )

  app.delete(
    '/accounts/:id/sessions',
    {
      config: { access },
      schema: {
        summary: 'End all sessions of an account',
        params,
        response: { 204: Type.Null(), ...problemResponses(SignedOut, RoleMissing, AccountUnknown) },
      },
    },
    async (request, reply) => {
      const { id } = await readAccount(database, request.params.id)
      await endAllSessions(request, id)
      await noteEvent(database, request.origin, 'sessions-ended', id)
      return reply.code(204).send(null)
    },
  )

  app.put(
    '/accounts/:id/lock',
    {
      config: { access },
      schema: {
        summary: 'Lock an account, which ends its sessions',
        params,
        response: { 200: AccountAnswer, ...problemResponses(SignedOut, RoleMissing, AccountUnknown) },
      },
    },
    async (request) => ({ account: await lockAccount(administrationOf(request), request.params.id) }),
  )

  app.delete(
    '/accounts/:id/lock',
    {
      config: { access },
      schema: {
        summary: 'Unlock an account',
        params,
        response: { 200: AccountAnswer, ...problemResponses(SignedOut, RoleMissing, AccountUnknown) },
      },
    },
    async (request) => ({ account: await unlockAccount(administrationOf(request), request.params.id) }),
  )
}
