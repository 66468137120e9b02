import { defineMail } from '@repo/mail'
import type { AccountEvent } from './accounts.ts'
import { LINK_LIFETIME_MS, type LinkPurpose } from './mailed-link.ts'

/** The wording of every mail that this service sends. Only the worker needs it. */

const hoursOf = (purpose: LinkPurpose): number => LINK_LIFETIME_MS[purpose] / 3_600_000

interface Site {
  /** Its public host, as the reader knows it. */
  host: string
}

/** For a new account, and for a new email of an old one. */
export const confirmMail = defineMail<Site & { href: string }>(({ host, href }) => ({
  subject: `Confirm your email for ${host}`,
  body: [
    `Somebody, probably you, gave this email to ${host}.`,
    { link: 'Confirm this email', href },
    `The link is valid for ${hoursOf('confirm')} hours. If it was not you, ignore this mail: nothing happens without the link.`,
  ],
}))

export const resetMail = defineMail<Site & { href: string }>(({ host, href }) => ({
  subject: `Choose a new password for ${host}`,
  body: [
    `Somebody, probably you, has forgotten the password of your account at ${host}.`,
    { link: 'Choose a new password', href },
    `The link is valid once, and for ${hoursOf('reset') * 60} minutes. If it was not you, ignore this mail: your password stays as it is.`,
  ],
}))

export const noticeMails = {
  'password-changed': defineMail<Site & { href: string }>(({ host, href }) => ({
    subject: `Your password for ${host} was changed`,
    body: [
      `The password of your account at ${host} was changed, and every other device was signed out.`,
      'If it was not you, choose a new password at once:',
      { link: 'I did not do this', href },
    ],
  })),
  'email-changed': defineMail<Site>(({ host }) => ({
    subject: `Your email for ${host} was changed`,
    body: [
      `Your account at ${host} has another email from now on. This one does not belong to it any more.`,
      `If it was not you, write to the people who run ${host} at once.`,
    ],
  })),
  'account-closed': defineMail<Site>(({ host }) => ({
    subject: `Your account at ${host} is closed`,
    body: [`Your account at ${host} was closed, and its data is removed. This is the last mail about it.`],
  })),
} satisfies Record<Exclude<AccountEvent, 'signed-up'>, unknown>
