import { LimitReached, type Limit } from '@repo/limits'
import { problemResponses, type Service } from '@repo/service'
import { currentUser, SignedOut, signOut } from '@repo/session'
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import {
  AccountGone,
  changePassword,
  createAccount,
  EmailTaken,
  letIn,
  PasswordWrong,
  readUser,
  SignInRefused,
  type Accounts,
  type SignedIn,
} from '../domain/accounts.ts'
import { EmailInvalid } from '../domain/email.ts'
import { SignInLimited } from '../domain/limit-guesses.ts'
import { PasswordsBusy } from '../domain/password-hasher.ts'
import { PasswordCommon, PasswordPersonal } from '../domain/password.ts'
import { Email, NewPassword, Password, sessionOf, UserSchema } from './fields.ts'

/** One per minute on average over an hour: enough for an office that signs up on one morning, too few for a robot. */
export const SIGN_UP_LIMIT: Limit = { max: 60, per: 'network', windowMs: 60 * 60_000 }

const UserAnswer = Type.Object({ user: UserSchema })

/** Sign-up, sign-in, sign-out, the signed-in user, and the change of the password. */
export async function accountRoutes(app: Service, { accounts }: { accounts: Accounts }): Promise<void> {
  const { devices } = accounts

  function answer(reply: FastifyReply, { user, device }: SignedIn): { user: SignedIn['user'] } {
    reply.setCookie(devices.name, device, devices.attributes)
    return { user }
  }

  app.post(
    '/sign-up',
    {
      config: { access: 'public', limit: SIGN_UP_LIMIT },
      schema: {
        summary: 'Make an account and be signed in',
        body: Type.Object({ email: Email, password: NewPassword }),
        response: {
          201: UserAnswer,
          ...problemResponses(
            EmailInvalid,
            EmailTaken,
            LimitReached,
            PasswordCommon,
            PasswordPersonal,
            SignInLimited,
            PasswordsBusy,
          ),
        },
      },
    },
    async (request, reply) => {
      const credentials = { ...request.body, network: request.network }
      const signedIn = await createAccount(accounts, credentials, sessionOf(request))
      return reply.code(201).send(answer(reply, signedIn))
    },
  )

  app.post(
    '/sign-in',
    {
      config: { access: 'public' },
      schema: {
        summary: 'Sign in',
        body: Type.Object({ email: Email, password: Password }),
        response: {
          200: UserAnswer,
          ...problemResponses(EmailInvalid, SignInRefused, SignInLimited, PasswordsBusy),
        },
      },
    },
    async (request, reply) => {
      const device = request.cookies[devices.name]
      const credentials = { ...request.body, network: request.network, device }
      return answer(reply, await letIn(accounts, credentials, sessionOf(request)))
    },
  )

  app.post(
    '/sign-out',
    {
      config: { access: 'public' },
      schema: {
        summary: 'End this session; no matter whether there is one',
        response: { 204: Type.Null() },
      },
    },
    async (request, reply) => {
      await signOut(request)
      return reply.code(204).send(null)
    },
  )

  app.get(
    '/me',
    {
      config: { access: 'user' },
      schema: {
        summary: 'Who is signed in',
        response: { 200: UserAnswer, ...problemResponses(SignedOut, AccountGone) },
      },
    },
    async (request) => ({ user: await readUser(accounts, currentUser(request).id) }),
  )

  app.put(
    '/password',
    {
      config: { access: 'user' },
      schema: {
        summary: 'Change the password, which ends all other sessions',
        body: Type.Object({ current: Password, next: NewPassword }),
        response: {
          204: Type.Null(),
          ...problemResponses(
            SignedOut,
            AccountGone,
            PasswordCommon,
            PasswordPersonal,
            PasswordWrong,
            SignInLimited,
            PasswordsBusy,
          ),
        },
      },
    },
    async (request, reply) => {
      const { sessionId } = request.session
      const change = {
        ...request.body,
        userId: currentUser(request).id,
        sessionId,
        network: request.network,
      }
      answer(reply, await changePassword(accounts, change, sessionOf(request)))
      return reply.code(204).send(null)
    },
  )
}
