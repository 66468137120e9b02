import createError from '@fastify/error'

export const EmailInvalid = createError('ACCOUNT_EMAIL_INVALID', 'This is not an email address.', 400)

/** The longest address that mail can be delivered to. @see RFC 5321, 4.5.3.1.3 */
export const MAX_EMAIL_LENGTH = 254

/** What browsers accept as an email. @see https://html.spec.whatwg.org/multipage/input.html#valid-e-mail-address */
const EMAIL =
  /^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/

/**
 * An email as it is stored and compared: trimmed and in lower case, so different spellings mean one account.
 *
 * @throws ACCOUNT_EMAIL_INVALID
 */
export function parseEmail(text: string): string {
  const email = text.trim().toLowerCase()
  if (email.length > MAX_EMAIL_LENGTH || !EMAIL.test(email)) throw new EmailInvalid()
  return email
}
