import { createError } from '@fastify/error'

/** The server did not answer, answered with a temporary error (4xx), or refused us and not the mail. A later try may succeed. */
export const MailUnavailable = createError(
  'MAIL_UNAVAILABLE',
  'Mail cannot be sent right now. Please try again.',
  503,
)

/** The server refused the recipient or the mail for good (5xx). The same mail will be refused again. */
export const MailRefused = createError('MAIL_REFUSED', 'The mail server refuses this mail: %s.', 422)

/** A part of a mail is not what it must be. The message does not repeat it, because it may be personal. */
export const MailInvalid = createError('MAIL_INVALID', 'A mail needs %s.', 500)

/** At boot: a part of MAIL_URL is invalid. The message does not repeat it, because the URL may contain a password. */
export const MailUrlInvalid = createError(
  'MAIL_URL_INVALID',
  'MAIL_URL does not say what is expected in its place: %s.',
  500,
)

/** At boot: MAIL_FROM is not an address. */
export const MailFromInvalid = createError(
  'MAIL_FROM_INVALID',
  'MAIL_FROM is not an address, as accounts@example.com or Example <accounts@example.com>.',
  500,
)
