import { randomUUID } from 'node:crypto'
import { MailRefused, type Mail, type Mailer } from '@repo/mail'
import { defineJob, enqueue, handle, type HandledJob, type JobContext } from '@repo/queue'
import { Type } from 'typebox'
import type { Transaction } from '../database.ts'
import type { Listener } from '../domain/accounts.ts'
import { countMail } from '../domain/limit-guesses.ts'
import { endLinks, issueLink, type MailsLinks } from '../domain/mailed-link.ts'
import { confirmMail, noticeMails, resetMail } from '../domain/mails.ts'

const Cause = Type.String({
  format: 'uuid',
  description: 'What made the mail necessary. It becomes the Message-ID',
})

const sendLink = defineJob({
  name: 'accounts.send-link',
  payload: Type.Object({
    cause: Cause,
    requestedAt: Type.Integer(),
    purpose: Type.Union([Type.Literal('confirm'), Type.Literal('reset')]),
    email: Type.String(),
    userId: Type.Optional(Type.String({ description: 'Without it: whoever has this email, if anybody has' })),
  }),
})

const sendNotice = defineJob({
  name: 'accounts.send-notice',
  payload: Type.Object({
    cause: Cause,
    notice: Type.Union([
      Type.Literal('password-changed'),
      Type.Literal('email-changed'),
      Type.Literal('account-closed'),
    ]),
    email: Type.String(),
  }),
})

/** Has the worker mail a link. */
export const mailLink: MailsLinks['mailLink'] = async (tx, link) => {
  await enqueue(tx, sendLink, { ...link, cause: randomUUID(), requestedAt: Date.now() })
}

/** Has the worker mail the owner of an account what happens to it. After a sign-up, it is the link that confirms the email. */
export const mailOwner: Listener = async (tx, event, user) => {
  const { id, email } = user
  if (event === 'signed-up') return mailLink(tx, { purpose: 'confirm', email, userId: id })
  if (event === 'password-changed') await endLinks(tx, user)
  await enqueue(tx, sendNotice, { notice: event, email, cause: randomUUID() })
}

export interface MailJobs {
  mailer: Mailer
  /** Of `createTokens`. */
  tokenOf: (cause: string) => string
  /** The public origin: links lead there. */
  origin: string
}

/** The jobs that send mails. A mail that its receiver's server refuses for good is not tried again. */
export function mailJobs({ mailer, tokenOf, origin }: MailJobs): HandledJob<Transaction>[] {
  const { host } = new URL(origin)

  async function send(mail: Mail, cause: string, { log }: JobContext<Transaction>): Promise<void> {
    try {
      await mailer.send(mail, cause)
    } catch (error) {
      if (!(error instanceof MailRefused)) throw error
      log.warn({ err: error }, 'a mail was refused')
    }
  }

  return [
    handle(
      sendLink,
      async ({ cause, purpose, email, requestedAt, userId }, context: JobContext<Transaction>) => {
        const token = tokenOf(`${purpose} ${cause}`)
        const isDue = await context.transaction(async (tx) => {
          const where = userId === undefined ? { email } : { id: userId }
          const user = await tx.user.findUnique({ where, select: { id: true } })
          if (!user || (context.attempt === 1 && !(await countMail(tx, email)))) return false
          return await issueLink(tx, {
            userId: user.id,
            purpose,
            email,
            token,
            requestedAt: new Date(requestedAt),
          })
        })
        if (!isDue) return
        const mail = purpose === 'reset' ? resetMail : confirmMail
        // Behind a #, which browsers send to no server: the token is in no log, and in no referrer.
        await send(mail(email, { host, href: `${origin}/#/${purpose}/${token}` }), cause, context)
      },
    ),
    handle(sendNotice, async ({ cause, notice, email }, context: JobContext<Transaction>) => {
      await send(noticeMails[notice](email, { host, href: `${origin}/#/forgotten` }), cause, context)
    }),
  ]
}
