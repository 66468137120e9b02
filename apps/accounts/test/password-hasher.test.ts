import { expect, test } from 'vitest'
import { createPasswordHasher } from '../src/domain/password-hasher.ts'

const passwords = createPasswordHasher()
const network = '198.51.100.1'
/** The minimum of Argon2, for tests that need many hashes. */
const leastCost = { memoryKiB: 8, passes: 1, parallelism: 1 }

test('a hash is an argon2id PHC string at the cost OWASP asks for, and never the same twice', async () => {
  const [first, second] = await Promise.all([
    passwords.hash('correct horse', network),
    passwords.hash('correct horse', network),
  ])
  expect(first).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/)
  expect(first).not.toBe(second)
  expect(await passwords.verify('correct horse', first, network)).toBe(true)
  expect(await passwords.verify('correct horsf', first, network)).toBe(false)
})

test('a hash of the reference implementation is understood', async () => {
  // From the tests of github.com/P-H-C/phc-winner-argon2.
  const reference = '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc'
  expect(await passwords.verify('password', reference, network)).toBe(true)
  expect(await passwords.verify('passwore', reference, network)).toBe(false)
})

test('a password is the same however its characters were composed', async () => {
  const hash = await passwords.hash('caf\u00e9 \u212b', network)
  expect(await passwords.verify('cafe\u0301 \u00c5', hash, network)).toBe(true)
})

test('every byte of a long password counts', async () => {
  const long = '\u{1f511}'.repeat(255)
  const hash = await passwords.hash(`${long}a`, network)
  expect(await passwords.verify(`${long}b`, hash, network)).toBe(false)
})

test('what UTF-8 cannot hold has no hash: all of it would have the same', async () => {
  await expect(passwords.hash('\ud800'.repeat(8), network)).rejects.toThrow('surrogate')
  await expect(passwords.verify('\udfff'.repeat(8), null, network)).rejects.toThrow('surrogate')
})

test('nobody has no password', async () => {
  expect(await passwords.verify('', null, network)).toBe(false)
})

test('a hash at another cost is still understood, and known to be one', async () => {
  const old = await createPasswordHasher(leastCost).hash('correct horse', network)
  expect(await passwords.verify('correct horse', old, network)).toBe(true)
  expect(passwords.needsRehash(old)).toBe(true)
  expect(passwords.needsRehash(await passwords.hash('correct horse', network))).toBe(false)
})

test('what is stored and no hash is an error, never a wrong password', async () => {
  await expect(passwords.verify('x', '$2b$12$abcdefghijklmnopqrstuv', network)).rejects.toThrow(
    'not an argon2id',
  )
})

test('beyond the line of those who wait, a burst is told to come again', async () => {
  const { hash } = createPasswordHasher(leastCost)
  const burst = await Promise.allSettled(Array.from({ length: 250 }, () => hash('correct horse', network)))
  const refused = burst.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
  expect(refused).toHaveLength(250 - 102)
  expect(refused[0]).toMatchObject({
    code: 'PASSWORDS_BUSY',
    statusCode: 503,
    headers: { 'retry-after': '2' },
  })
  await expect(hash('correct horse', network)).resolves.toContain('$argon2id$')
})
