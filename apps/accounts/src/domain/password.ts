import createError from '@fastify/error'
import { dictionary } from '@zxcvbn-ts/language-common'

/** In characters (Unicode code points). No user types 256, and more would only be work for us. */
export const PASSWORD_LENGTH = { min: 8, max: 256 }

/** How many of the most common passwords are refused, of those with the minimum length. Shorter ones are refused anyway. */
const COMMON_PASSWORDS = 10_000
/** A word of the context with at most so many other characters is refused: `ada@example.com` with `!`, `1` or `2026`. */
const MAX_AROUND_WORDS = 4
/** Shorter words are part of too many good passwords. */
const MIN_WORD_LENGTH = 3

export const PasswordCommon = createError(
  'PASSWORD_COMMON',
  'This is one of the passwords that are tried first. Please choose another one.',
  400,
)
export const PasswordPersonal = createError(
  'PASSWORD_PERSONAL',
  'This is little more than your email or the name of this site. Please choose another password.',
  400,
)

const common = new Set(
  dictionary['passwords-common']
    .filter((password) => Array.from(password).length >= PASSWORD_LENGTH.min)
    .slice(0, COMMON_PASSWORDS),
)

/** The characters that are hashed: one keyboard types é as one character, another as e and an accent. */
export function normalizePassword(password: string): string {
  return password.normalize('NFKC')
}

/**
 * Refuses a new password that is blank or common, or that a stranger could derive from what they see, whatever its length.
 * Case makes no difference. Old passwords are not checked, because their users must still be able to sign in.
 *
 * @param context the email, and the host of the site; their parts count as well
 * @throws PASSWORD_COMMON, PASSWORD_PERSONAL
 * @see NIST SP 800-63B, password verifiers (blocklist); OWASP ASVS 5, 6.2.4 and 6.2.11
 */
export function assertSuitable(password: string, context: readonly string[]): void {
  const text = normalizePassword(password).toLowerCase()
  // These characters are invisible, the zero-width ones included.
  const isBlank = /^[\s\p{Cc}\p{Default_Ignorable_Code_Point}]*$/u.test(text)
  if (isBlank || common.has(text)) throw new PasswordCommon()

  const words = context.flatMap(listWords).sort((a, b) => b.length - a.length)
  const rest = words.reduce((left, word) => left.replaceAll(word, ''), text)
  if (rest.length < text.length && rest.length <= MAX_AROUND_WORDS) throw new PasswordPersonal()
}

/** The name, its parts, and each of them reversed. */
function listWords(name: string): string[] {
  const words = [name, ...name.split('@'), ...name.split(/[^\p{L}\p{N}]/u)].filter(
    (word) => word.length >= MIN_WORD_LENGTH,
  )
  return words.flatMap((word) => [word, Array.from(word).toReversed().join('')])
}
