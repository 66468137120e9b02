import { execFile } from 'node:child_process'
import { resolve } from 'node:path'
import { fleet, pollUntil, type Browser, type Fleet } from '@repo/testing'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { grantRole, lockAccount, revokeRole } from '../src/domain/administer.ts'
import { newOrigin, openApp } from './open-app.ts'

// The one-off process of administrators, beside two processes of the service: what it did is in effect in both at once.

const password = 'correct horse'
/** Each command is a process of its own. */
const COMMANDS_MS = 120_000
let accounts: Fleet
let people = 0

beforeAll(async () => {
  accounts = await fleet(new URL('..', import.meta.url))
})
afterAll(() => accounts[Symbol.asyncDispose]())

/** Runs the command as a user does. Never rejects: a failure is in `code`. */
function run(...words: string[]): Promise<{ code: number; out: string; err: string }> {
  const entry = resolve(import.meta.dirname, '../src/command.ts')
  const env = { ...process.env, ...accounts.env, PORT: '0' }
  return new Promise((done) => {
    execFile(process.execPath, [entry, ...words], { env }, (error, out, err) =>
      done({ code: Number(error?.code ?? 0), out, err }),
    )
  })
}

async function send(browser: Browser, method: string, path: string, json?: unknown) {
  const request = json === undefined ? { method } : { method, json }
  const answer = await browser.request(`/api/accounts/${path}`, request)
  const text = await answer.text()
  return { status: answer.status, body: text === '' ? undefined : JSON.parse(text) }
}

async function newPerson() {
  const [browser, email] = [accounts.browser(), `person${(people += 1)}@example.com`]
  const { status, body } = await send(browser, 'POST', 'sign-up', { email, password })
  expect(status).toBe(201)
  return { browser, email, id: body.user.id as string }
}

const signIn = (browser: Browser, email: string) => send(browser, 'POST', 'sign-in', { email, password })

/** The answers of both processes. */
async function ofBoth(browser: Browser, method: string, path: string) {
  const [one, other] = [await send(browser, method, path), await send(browser, method, path)]
  const seen = [one, other].map(({ status, body }) => ({ status, code: body?.code }))
  expect(seen[0]).toEqual(seen[1])
  return seen[0]
}

test(
  'a role is in effect in every process when the command ends, and gone when it is taken',
  async () => {
    const { browser, email } = await newPerson()
    const mine = `admin/accounts?email=${email}`
    expect(await ofBoth(browser, 'GET', mine)).toEqual({ status: 403, code: 'ROLE_MISSING' })

    expect(await run('grant', email, 'admin')).toEqual({ code: 0, out: `${email}, admin\n`, err: '' })
    expect(await ofBoth(browser, 'GET', 'me')).toEqual({ status: 401, code: 'SIGNED_OUT' })
    await signIn(browser, email)
    expect(await ofBoth(browser, 'GET', mine)).toMatchObject({ status: 200 })
    expect(await run('list')).toMatchObject({ code: 0, out: `${email}, admin\n` })

    expect(await run('revoke', email, 'admin')).toEqual({ code: 0, out: `${email}, no role\n`, err: '' })
    expect(await ofBoth(browser, 'GET', mine)).toEqual({ status: 401, code: 'SIGNED_OUT' })
    await signIn(browser, email)
    expect(await ofBoth(browser, 'GET', mine)).toEqual({ status: 403, code: 'ROLE_MISSING' })
  },
  COMMANDS_MS,
)

test(
  'an account that is locked is signed out of every process, and signs in again when it is unlocked',
  async () => {
    const { browser, email } = await newPerson()
    expect(await run('lock', email)).toMatchObject({ code: 0, out: expect.stringContaining('locked since') })
    expect(await ofBoth(browser, 'GET', 'me')).toEqual({ status: 401, code: 'SIGNED_OUT' })
    for (let n = 0; n < 2; n += 1)
      expect(await signIn(browser, email)).toMatchObject({ status: 401, body: { code: 'SIGN_IN_REFUSED' } })
    expect(await run('unlock', email)).toMatchObject({ code: 0, out: `${email}, no role\n` })
    expect((await signIn(browser, email)).status).toBe(200)
  },
  COMMANDS_MS,
)

test(
  'it shows the sessions of an account, and ends them',
  async () => {
    const { browser, email } = await newPerson()
    await signIn(accounts.browser(), email)
    const { out } = await run('show', email)
    expect(out.match(/ {2}since \S+Z, seen \S+Z, /g)).toHaveLength(2)
    expect(await run('end-sessions', email)).toMatchObject({ out: `${email}: ended 2 sessions\n` })
    expect(await ofBoth(browser, 'GET', 'me')).toMatchObject({ status: 401 })
  },
  COMMANDS_MS,
)

test(
  'a mistake changes nothing, says what is wrong, and is a failure',
  async () => {
    const { browser, email } = await newPerson()
    expect(await run('grant', 'nobody@example.com', 'admin')).toMatchObject({
      code: 1,
      err: 'There is no such account.\n',
    })
    expect(await run('grant', email, 'Admin')).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^A role is/),
    })
    for (const words of [['grant', email], ['toString']])
      expect(await run(...words)).toMatchObject({
        code: 1,
        err: expect.stringMatching(/^That is not a command/),
      })
    expect((await run('--help')).out.split('\n').length).toBeLessThan(20)
    expect((await send(browser, 'GET', 'me')).status).toBe(200)
  },
  COMMANDS_MS,
)

test('a sign-in that overlaps a change waits for it, and has the new roles or is refused', async () => {
  await using opened = await openApp()
  const { database, passwords } = opened.resources
  const data = { email: 'ada@example.com', passwordHash: await passwords.hash(password, '198.51.100.1') }
  const { id } = await database.user.create({ data })
  const send = (method: 'GET' | 'POST', url: string, cookies = {}) =>
    opened.app.inject({
      method,
      url: `/api/accounts/${url}`,
      cookies,
      ...(method === 'POST' && { payload: { email: data.email, password } }),
    })

  /** Signs in after the sessions have ended and before the change is committed. */
  async function signInDuring(change: (administration: object) => Promise<unknown>) {
    const [ended, goOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const changing = change({
      database,
      endSessions: () => (ended.resolve(), goOn.promise),
      origin: newOrigin(),
    })
    await ended.promise
    const signingIn = send('POST', 'sign-in')
    await pollUntil('the sign-in waits for the change', async () => {
      const waiting = await database.query(
        `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
        [],
      )
      return waiting.length === 1
    })
    goOn.resolve()
    await changing
    const answer = await signingIn
    const cookies = Object.fromEntries(answer.cookies.map(({ name, value }) => [name, value]))
    return { status: answer.statusCode, cookies }
  }
  const isAdmin = async (cookies: object) =>
    (await send('GET', `admin/accounts?email=${data.email}`, cookies)).statusCode

  const granted = await signInDuring((administration) => grantRole(administration as never, id, 'admin'))
  expect(granted.status).toBe(200)
  expect(await isAdmin(granted.cookies)).toBe(200)
  const revoked = await signInDuring((administration) => revokeRole(administration as never, id, 'admin'))
  expect(revoked.status).toBe(200)
  expect(await isAdmin(revoked.cookies)).toBe(403)
  const locked = await signInDuring((administration) => lockAccount(administration as never, id))
  expect(locked.status).toBe(401)
})

test('while sessions cannot be ended, roles and locks stay as they were', async () => {
  await using opened = await openApp()
  const { database } = opened.resources
  const user = await database.user.create({ data: { email: 'ada@example.com', passwordHash: '' } })
  const away = { database, endSessions: refuse, origin: newOrigin() }
  await expect(grantRole(away, user.id, 'admin')).rejects.toThrow('The store is away')
  await expect(lockAccount(away, user.id)).rejects.toThrow('The store is away')
  expect(await database.user.findUniqueOrThrow({ where: { id: user.id } })).toEqual(user)
})

function refuse(): Promise<never> {
  return Promise.reject(new Error('The store is away'))
}
