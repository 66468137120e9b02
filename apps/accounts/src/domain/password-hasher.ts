import { argon2, randomBytes, timingSafeEqual } from 'node:crypto'
import createError from '@fastify/error'
import { createFairQueue } from './fair-queue.ts'
import { normalizePassword } from './password.ts'

/** The cost of one hash, and so of one guess. */
export interface PasswordCost {
  memoryKiB: number
  passes: number
  parallelism: number
}

/**
 * The minimum for Argon2id in the OWASP Password Storage Cheat Sheet. Raise it as machines get faster: a sign-in replaces a
 * hash of another cost.
 *
 * @see https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
 */
export const PASSWORD_COST: PasswordCost = { memoryKiB: 19_456, passes: 2, parallelism: 1 }

/** The lengths of salt and hash. @see RFC 9106, sections 3.1 and 4 */
const SALT_BYTES = 16
const HASH_BYTES = 32

/**
 * Two hashes at a time need 38 MiB, and leave the other two of libuv's four threads to DNS lookups and files. Two free cores
 * finish a hundred waiting hashes within two seconds, which is about as long as a user may be expected to wait.
 */
const LIMIT = { maxRunning: 2, maxWaiting: 100 }

export const PasswordsBusy = createError(
  'PASSWORDS_BUSY',
  'Too many people are signing in at this moment. Please try again.',
  503,
)

/**
 * Each network has two flows: a sign-in has a quarter of the weight of a new hash. So a sign-in goes before waiting
 * sign-ups, and no network makes another one wait for more than a few hashes.
 */
const WEIGHTS = { verify: 1, hash: 4 }

export interface PasswordHasher {
  /**
   * The hash of the password as a PHC string, which includes its cost.
   *
   * @param network of the client that waits for it
   * @throws PASSWORDS_BUSY
   * @see https://github.com/P-H-C/phc-string-format
   */
  hash(password: string, network: string): Promise<string>
  /**
   * Whether the password is the one that was hashed. With null, for a user who does not exist, it does the same work and
   * resolves to false.
   *
   * @param network of the client that waits for it
   * @throws PASSWORDS_BUSY
   */
  verify(password: string, hash: string | null, network: string): Promise<boolean>
  /** Whether the hash was made with another cost than the present one. */
  needsRehash(hash: string): boolean
}

/** Hashes passwords outside the event loop, as many at a time as LIMIT allows. */
export function createPasswordHasher(cost: PasswordCost = PASSWORD_COST): PasswordHasher {
  const queue = createFairQueue({
    ...LIMIT,
    refuse: () => Object.assign(new PasswordsBusy(), { headers: { 'retry-after': '2' } }),
  })
  const run = (kind: keyof typeof WEIGHTS, network: string, task: () => Promise<Buffer>): Promise<Buffer> =>
    queue({ flow: `${kind} ${network}`, weight: WEIGHTS[kind] }, task)
  // No password is known that has an all-zero hash, so this one matches none.
  const nobody: StoredHash = { cost, salt: Buffer.alloc(SALT_BYTES), hash: Buffer.alloc(HASH_BYTES) }

  return {
    async hash(password, network) {
      const salt = randomBytes(SALT_BYTES)
      return encode({
        cost,
        salt,
        hash: await run('hash', network, () => derive(password, salt, cost, HASH_BYTES)),
      })
    },
    async verify(password, text, network) {
      const stored = text === null ? nobody : decode(text)
      const hash = await run('verify', network, () =>
        derive(password, stored.salt, stored.cost, stored.hash.length),
      )
      return timingSafeEqual(hash, stored.hash)
    },
    needsRehash(text) {
      const stored = decode(text).cost
      return (
        stored.memoryKiB !== cost.memoryKiB ||
        stored.passes !== cost.passes ||
        stored.parallelism !== cost.parallelism
      )
    },
  }
}

function derive(password: string, salt: Buffer, cost: PasswordCost, length: number): Promise<Buffer> {
  const parameters = {
    message: toBytes(password),
    nonce: salt,
    memory: cost.memoryKiB,
    passes: cost.passes,
    parallelism: cost.parallelism,
    tagLength: length,
  }
  return new Promise((resolve, reject) => {
    argon2('argon2id', parameters, (error, hash) => (error ? reject(error) : resolve(hash)))
  })
}

/** @throws for half a surrogate pair: in UTF-8 all of them are the same bytes. JSON bodies with one are refused before. */
function toBytes(password: string): Buffer {
  if (!password.isWellFormed()) throw new Error('A password with half a surrogate pair has no bytes to hash')
  return Buffer.from(normalizePassword(password))
}

interface StoredHash {
  cost: PasswordCost
  salt: Buffer
  hash: Buffer
}

const PHC = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/

function encode({ cost, salt, hash }: StoredHash): string {
  const [saltText, hashText] = [salt, hash].map((bytes) => bytes.toString('base64').replace(/={1,2}$/, ''))
  return `$argon2id$v=19$m=${cost.memoryKiB},t=${cost.passes},p=${cost.parallelism}$${saltText}$${hashText}`
}

function decode(text: string): StoredHash {
  const [, memoryKiB, passes, parallelism, salt, hash] = PHC.exec(text) ?? []
  if (!salt || !hash) throw new Error('A stored password hash is not an argon2id PHC string')
  return {
    cost: { memoryKiB: Number(memoryKiB), passes: Number(passes), parallelism: Number(parallelism) },
    salt: Buffer.from(salt, 'base64'),
    hash: Buffer.from(hash, 'base64'),
  }
}
