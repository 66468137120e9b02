import { endAllSessions, signIn, signOut } from '@repo/session'
import type { FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { RequestSession } from '../domain/accounts.ts'
import { MAX_EMAIL_LENGTH } from '../domain/email.ts'
import { PASSWORD_LENGTH } from '../domain/password.ts'

export const Email = Type.String({
  // Leaves room for the white space that is trimmed.
  maxLength: MAX_EMAIL_LENGTH + 50,
  description: 'However it is typed: case and space around it make no difference',
})

/**
 * The password of an existing account. The rules for new passwords do not apply to it: old passwords must still work.
 *
 * @see NIST SP 800-63B, password verifiers: at least 8 (revision 4 asks 15 of a password that stands alone), 64 allowed
 */
export const Password = Type.String({ minLength: 1, maxLength: PASSWORD_LENGTH.max })
export const NewPassword = Type.String({
  minLength: PASSWORD_LENGTH.min,
  maxLength: PASSWORD_LENGTH.max,
  description: 'Any characters, spaces included; neither one that is common nor the email',
})

export const UserSchema = Type.Object({
  id: Type.String({ format: 'uuid' }),
  email: Type.String(),
  // keep: mail
  emailVerified: Type.Boolean(),
  // /keep
})

/** What the domain may do with the session of a request. */
export function sessionOf(request: FastifyRequest): RequestSession {
  return {
    origin: request.origin,
    async begin({ id, roles }) {
      await signIn(request, { id, roles })
      await request.session.save()
    },
    end: () => signOut(request),
    endAll: async ({ id }) => void (await endAllSessions(request, id)),
    endOthers: async ({ id }) => void (await endAllSessions(request, id, { except: 'current' })),
  }
}
