import { problemResponses, type Service } from '@repo/service'
import { currentUser, SignedOut } from '@repo/session'
import { Type } from 'typebox'
import { AccountGone, PasswordWrong, SignInRefused, type Accounts } from '../domain/accounts.ts'
import { SignInLimited } from '../domain/limit-guesses.ts'
import { PasswordsBusy } from '../domain/password-hasher.ts'
import { proveIdentity } from '../domain/prove-identity.ts'
import { Password, sessionOf } from './fields.ts'

/** What a page calls when a `fresh-user` route, of any service, answered SESSION_NOT_FRESH. */
export async function proofRoutes(app: Service, { accounts }: { accounts: Accounts }): Promise<void> {
  app.post(
    '/prove',
    {
      config: { access: 'user' },
      schema: {
        summary: 'Prove with the password who is signed in, for routes that ask for it',
        body: Type.Object({ password: Password }),
        response: {
          204: Type.Null(),
          ...problemResponses(
            SignedOut,
            AccountGone,
            SignInRefused,
            PasswordWrong,
            SignInLimited,
            PasswordsBusy,
          ),
        },
      },
    },
    async (request, reply) => {
      const { id } = currentUser(request)
      const { password } = request.body
      const { sessionId } = request.session
      const proof = { userId: id, sessionId, password, network: request.network }
      await proveIdentity(accounts, proof, sessionOf(request))
      return reply.code(204).send(null)
    },
  )
}
