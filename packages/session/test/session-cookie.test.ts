import { createHmac } from 'node:crypto'
import { expect, test } from 'vitest'
import { createCookieSigner, deadlineOf, keyOf, newSessionId } from '../src/session-cookie.ts'

const [first, second, third] = ['first', 'second', 'third'].map(
  (name) => `the ${name} secret, of more than 32 characters`,
)
const id = newSessionId(60_000)

test('an id has 192 random bits and carries its deadline', () => {
  expect(Buffer.from(id.split('.')[0]!, 'base64url')).toHaveLength(24)
  expect(Math.abs(deadlineOf(id) - Date.now() - 60_000)).toBeLessThan(1000)
  expect(new Set(Array.from({ length: 1000 }, () => newSessionId(1))).size).toBe(1000)
})

test('what is signed is accepted, and nothing that is changed anywhere', () => {
  const signer = createCookieSigner([first!], 'session')
  const cookie = signer.sign(id)
  expect(signer.unsign(cookie)).toEqual({ valid: true, renew: false, value: id })
  for (let i = 0; i < cookie.length; i += 1) {
    const changed = `${cookie.slice(0, i)}${cookie[i] === 'A' ? 'B' : 'A'}${cookie.slice(i + 1)}`
    expect(signer.unsign(changed).valid, changed).toBe(false)
  }
})

test('a later deadline cannot be forged', () => {
  const signer = createCookieSigner([first!], 'session')
  const later = `${id.slice(0, 33)}${(deadlineOf(id) + 1).toString(36)}`
  expect(signer.unsign(signer.sign(id).replace(id, later)).valid).toBe(false)
})

test('the same secret under another name, or used plainly, signs nothing here', () => {
  const signer = createCookieSigner([first!], 'session')
  expect(signer.unsign(createCookieSigner([first!], '__Host-session').sign(id)).valid).toBe(false)
  expect(signer.unsign(`${id}.${createHmac('sha256', first!).update(id).digest('base64url')}`).valid).toBe(
    false,
  )
})

test('during a rotation both lists of secrets read the cookies of both, and only the newest is kept in the end', () => {
  const [before, during, after] = [[first!], [second!, first!], [second!]].map((list) =>
    createCookieSigner(list, 'session'),
  )
  const [old, both, renewed] = [before!.sign(id), during!.sign(id), after!.sign(id)]
  expect(before!.unsign(both)).toEqual({ valid: true, renew: false, value: id })
  expect(during!.unsign(old)).toEqual({ valid: true, renew: true, value: id })
  expect(during!.unsign(both)).toEqual({ valid: true, renew: false, value: id })
  expect(after!.unsign(both)).toEqual({ valid: true, renew: false, value: id })
  expect(after!.unsign(old).valid).toBe(false)
  expect(createCookieSigner([third!], 'session').unsign(both).valid).toBe(false)
  expect(during!.unsign(renewed).valid).toBe(true)
})

test('what a store knows an id by does not show the id', () => {
  expect(keyOf(id)).toMatch(/^[\w-]{43}$/)
  expect(keyOf(id)).not.toContain(id.slice(0, 8))
})
