import { LimitReached, type Limit } from '@repo/limits'
import { problemResponses, type Service } from '@repo/service'
import { currentUser, SessionNotFresh, SignedOut } from '@repo/session'
import { Type } from 'typebox'
import { AccountGone, EmailTaken, type Accounts } from '../domain/accounts.ts'
import { confirmEmail, requestEmail } from '../domain/change-email.ts'
import { EmailInvalid } from '../domain/email.ts'
import { LinkInvalid, type MailsLinks } from '../domain/mailed-link.ts'
import { PasswordsBusy } from '../domain/password-hasher.ts'
import { PasswordCommon, PasswordPersonal } from '../domain/password.ts'
import { requestReset, resetPassword } from '../domain/recovery.ts'
import { Email, NewPassword, sessionOf } from './fields.ts'

/** For an office where many have forgotten it on a Monday; how many mails one account gets is limited by the worker. */
export const MAIL_REQUEST_LIMIT: Limit = { max: 30, per: 'network', windowMs: 60 * 60_000 }

const Token = Type.String({
  pattern: /^[\w-]{43}$/.source,
  description: 'What follows the last slash of a mailed link',
})

/**
 * What works by mail: the reset of a password, and the proof of an email. A link is opened with GET by its page, which
 * changes nothing, so that a scanner of mail uses none up; the person's click on that page sends the POST.
 */
export async function mailedLinkRoutes(
  app: Service,
  { accounts }: { accounts: Accounts & MailsLinks },
): Promise<void> {
  const { devices } = accounts

  app.post(
    '/password/forgotten',
    {
      config: { access: 'public', limit: MAIL_REQUEST_LIMIT },
      schema: {
        summary: 'Mail a link with which the owner of an account chooses a new password',
        description:
          'The answer is the same, and takes the same time, whether there is such an account or not.',
        body: Type.Object({ email: Email }),
        response: { 204: Type.Null(), ...problemResponses(EmailInvalid, LimitReached) },
      },
    },
    async (request, reply) => {
      await requestReset(accounts, request.body.email)
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/password/reset',
    {
      config: { access: 'public', limit: MAIL_REQUEST_LIMIT },
      schema: {
        summary: 'Choose a new password with a mailed link, which ends all sessions of the account',
        body: Type.Object({ token: Token, next: NewPassword }),
        response: {
          204: Type.Null(),
          ...problemResponses(LinkInvalid, LimitReached, PasswordCommon, PasswordPersonal, PasswordsBusy),
        },
      },
    },
    async (request, reply) => {
      const reset = { ...request.body, network: request.network }
      const { device } = await resetPassword(accounts, reset, sessionOf(request))
      // Who has proved to be the owner is not held up by what strangers have guessed.
      reply.setCookie(devices.name, device, devices.attributes)
      return reply.code(204).send(null)
    },
  )

  app.put(
    '/email',
    {
      config: { access: 'fresh-user', limit: MAIL_REQUEST_LIMIT },
      schema: {
        summary: 'Mail a link that proves a new email, or the present one once more',
        body: Type.Object({ email: Email }),
        response: {
          204: Type.Null(),
          ...problemResponses(SignedOut, SessionNotFresh, EmailInvalid, LimitReached),
        },
      },
    },
    async (request, reply) => {
      await requestEmail(accounts, { ...request.body, userId: currentUser(request).id })
      return reply.code(204).send(null)
    },
  )

  app.post(
    '/email/confirm',
    {
      config: { access: 'public', limit: MAIL_REQUEST_LIMIT },
      schema: {
        summary: 'Give the account the email that a mailed link proves',
        body: Type.Object({ token: Token }),
        response: {
          204: Type.Null(),
          ...problemResponses(LinkInvalid, AccountGone, EmailTaken, LimitReached),
        },
      },
    },
    async (request, reply) => {
      await confirmEmail(accounts, request.body.token, request.origin)
      return reply.code(204).send(null)
    },
  )
}
