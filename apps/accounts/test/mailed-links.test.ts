import { randomUUID } from 'node:crypto'
import { parseEnv } from '@repo/config'
import { openMailer } from '@repo/mail'
import type { Service } from '@repo/service'
import { startMailCatcher, type CaughtMail, type MailCatcher } from '@repo/testing/start-mail-catcher'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createTokens } from '../src/domain/mailed-link.ts'
import { mailJobs } from '../src/jobs/send-mail.ts'
import { startJobs } from '../src/start-jobs.ts'
import { workerEnv } from '../src/worker-env.ts'
import { cookiesOf, openApp, type OpenApp } from './open-app.ts'

/** The service and a worker, whose mails are caught. */
async function openAppWithMail(): Promise<OpenApp & { mail: MailCatcher }> {
  const opened = new AsyncDisposableStack()
  const open = opened.use(await openApp())
  const mail = opened.use(await startMailCatcher())
  const env = parseEnv(workerEnv, {
    NODE_ENV: 'test',
    PORT: '0',
    LOG_LEVEL: 'silent',
    PUBLIC_ORIGIN: open.env.PUBLIC_ORIGIN,
    DATABASE_URL: open.env.DATABASE_URL,
    SESSION_SECRETS: open.env.SESSION_SECRETS.join(),
    ...mail.env,
  })
  opened.use(await startJobs(env, open.app.log))
  return { ...open, mail, [Symbol.asyncDispose]: () => opened.disposeAsync() }
}

let opened: Awaited<ReturnType<typeof openAppWithMail>>
let app: Service

beforeAll(async () => {
  opened = await openAppWithMail()
  app = opened.app
})
afterAll(() => opened[Symbol.asyncDispose]())

const PASSWORD = 'correct horse battery'

type Answer = Awaited<ReturnType<typeof send>>

// Each request is from a network of its own, so that no limit of a network is met.
let requests = 0
function send(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, payload?: object, cookies = {}) {
  const remoteAddress = `203.0.${Math.floor(++requests / 250)}.${requests % 250}`
  const url = `/api/accounts${path}`
  return app.inject({ method, url, cookies, remoteAddress, ...(payload && { payload }) })
}

const codeOf = (answer: Answer) => [answer.statusCode, answer.body && answer.json().code]
const GONE = [400, 'LINK_INVALID']

async function signUp(email = `${randomUUID()}@example.com`) {
  const answer = await send('POST', '/sign-up', { email, password: PASSWORD })
  expect(answer.statusCode).toBe(201)
  // Of two jobs, either may be done first: the mail of the sign-up is in the mailbox before anything else is asked for.
  await opened.mail.waitForMail(email)
  return { email, cookies: cookiesOf(answer) }
}

const signIn = (email: string, password: string) => send('POST', '/sign-in', { email, password })
const forget = (email: string) => send('POST', '/password/forgotten', { email })
const reset = (token: string, next = 'a much better one') => send('POST', '/password/reset', { token, next })
const confirm = (token: string) => send('POST', '/email/confirm', { token })
const me = async (cookies: object) => (await send('GET', '/me', undefined, cookies)).json().user

/** What an observer sees of an answer, without what differs between any two. */
function visible({ statusCode, body, headers, cookies }: Answer) {
  const left = Object.entries(headers).filter(([name]) => !['date', 'x-request-id'].includes(name))
  return { statusCode, body, cookies, headers: Object.fromEntries(left) }
}

function tokenOf({ links: [link] }: CaughtMail, purpose: 'confirm' | 'reset'): string {
  const [, token] = new RegExp(`^http://localhost/#/${purpose}/([\\w-]{43})$`).exec(link!)!
  return token!
}

/** The link of the nth mail to an address. The first one is that of the sign-up. */
async function mailed(email: string, nth: number, purpose: 'confirm' | 'reset'): Promise<string> {
  return tokenOf(await opened.mail.waitForMail(email, nth), purpose)
}

test('a sign-up mails a link, which confirms the email once', async () => {
  const { email, cookies } = await signUp()
  expect(await me(cookies)).toMatchObject({ email, emailVerified: false })
  const token = await mailed(email, 1, 'confirm')
  expect((await confirm(token)).statusCode).toBe(204)
  expect(await me(cookies)).toMatchObject({ email, emailVerified: true })
  expect(codeOf(await confirm(token))).toEqual(GONE)
})

test('who has forgotten the password chooses a new one, which ends every session and is told by mail', async () => {
  const { email, cookies } = await signUp()
  expect(codeOf(await forget(`  ${email.toUpperCase()} `))).toEqual([204, ''])
  const token = await mailed(email, 2, 'reset')

  expect(codeOf(await reset(token, 'password'))).toEqual([400, 'PASSWORD_COMMON'])
  const answer = await reset(token)
  expect(answer.statusCode).toBe(204)
  expect(answer.cookies.map(({ name }) => name)).toEqual(['device-80'])
  expect((await send('GET', '/me', undefined, cookies)).statusCode).toBe(401)
  expect(codeOf(await signIn(email, PASSWORD))).toEqual([401, 'SIGN_IN_REFUSED'])
  const again = await signIn(email, 'a much better one')
  expect(again.json().user).toMatchObject({ email, emailVerified: true })
  const notice = await opened.mail.waitForMail(email, 3)
  expect(notice.subject).toContain('was changed')
})

test('of two requests with one link, one changes the password', async () => {
  const { email } = await signUp()
  await forget(email)
  const token = await mailed(email, 2, 'reset')
  const answers = await Promise.all([reset(token, 'the first of two'), reset(token, 'the second of two')])
  expect(answers.map(({ statusCode }) => statusCode).sort()).toEqual([204, 400])
})

test('whether there is an account makes no difference to the answer, and decides whether a mail is sent', async () => {
  const { email } = await signUp()
  const stranger = `${randomUUID()}@example.com`
  const [known, unknown] = [await forget(email), await forget(stranger)]
  expect(visible(unknown)).toEqual(visible(known))
  await mailed(email, 2, 'reset')
  await forget(email)
  // Jobs begin in order, so by now that of the stranger has run.
  await mailed(email, 3, 'reset')
  expect(opened.mail.mails(stranger)).toEqual([])
})

test('a link serves its purpose alone, and the newest one only', async () => {
  const { email } = await signUp()
  const confirming = await mailed(email, 1, 'confirm')
  expect(codeOf(await reset(confirming))).toEqual(GONE)
  await forget(email)
  const older = await mailed(email, 2, 'reset')
  await forget(email)
  const newer = await mailed(email, 3, 'reset')
  expect(codeOf(await confirm(newer))).toEqual(GONE)
  expect(codeOf(await reset(older))).toEqual(GONE)
  expect((await reset(newer)).statusCode).toBe(204)
})

test('a link expires', async () => {
  const { email } = await signUp()
  await forget(email)
  const token = await mailed(email, 2, 'reset')
  await opened.resources.database.mailedLink.updateMany({
    where: { email, purpose: 'reset' },
    data: { expiresAt: new Date() },
  })
  expect(codeOf(await reset(token))).toEqual(GONE)
})

test('after a new password, no link is valid that was asked for before', async () => {
  const { email, cookies } = await signUp()
  const elsewhere = `${randomUUID()}@example.com`
  expect((await send('PUT', '/email', { email: elsewhere }, cookies)).statusCode).toBe(204)
  await forget(email)
  const [thief, owner] = [await mailed(elsewhere, 1, 'confirm'), await mailed(email, 2, 'reset')]
  expect((await reset(owner)).statusCode).toBe(204)
  expect(codeOf(await confirm(thief))).toEqual(GONE)
})

test('a new email is proved where it is, and told where it was; links to the old one are dead', async () => {
  const { email, cookies } = await signUp()
  const next = `${randomUUID()}@example.com`
  await send('PUT', '/email', { email: next }, cookies)
  await forget(email)
  const resetting = await mailed(email, 2, 'reset')
  const token = await mailed(next, 1, 'confirm')
  expect(await me(cookies)).toMatchObject({ email })
  expect((await confirm(token)).statusCode).toBe(204)
  expect(await me(cookies)).toMatchObject({ email: next, emailVerified: true })
  const notice = await opened.mail.waitForMail(email, 3)
  expect(notice.subject).toContain('was changed')
  expect(codeOf(await reset(resetting))).toEqual(GONE)
  expect((await signIn(next, PASSWORD)).statusCode).toBe(200)
})

test('an email that belongs to another account is told to its reader alone', async () => {
  const taken = await signUp()
  const { cookies } = await signUp()
  expect((await send('PUT', '/email', { email: taken.email }, cookies)).statusCode).toBe(204)
  const token = await mailed(taken.email, 2, 'confirm')
  expect(codeOf(await confirm(token))).toEqual([409, 'ACCOUNT_EMAIL_TAKEN'])
})

test('no more than five mails in a row go to an account, whoever asks', async () => {
  const { email } = await signUp()
  for (let n = 2; n <= 8; n++) {
    expect((await forget(email)).statusCode).toBe(204)
    if (n <= 5) await mailed(email, n, 'reset')
  }
  const other = await signUp()
  await opened.mail.waitForMail(other.email)
  expect(opened.mail.mails(email)).toHaveLength(5)
})

test('a closed account is gone with its sessions and links, and its owner is told', async () => {
  const { email, cookies } = await signUp()
  const elsewhere = cookiesOf(await signIn(email, PASSWORD))
  await opened.mail.waitForMail(email)
  expect((await send('DELETE', '/me', undefined, cookies)).statusCode).toBe(204)
  expect((await send('GET', '/me', undefined, elsewhere)).statusCode).toBe(401)
  const { database } = opened.resources
  expect([
    await database.user.count({ where: { email } }),
    await database.mailedLink.count({ where: { email } }),
  ]).toEqual([0, 0])
  const notice = await opened.mail.waitForMail(email, 2)
  expect(notice.subject).toContain('closed')
  expect(codeOf(await signIn(email, PASSWORD))).toEqual([401, 'SIGN_IN_REFUSED'])
})

test('a job that runs again mails the same link under the same id, and none that was used', async () => {
  const { resources, env, mail } = opened
  await using mailer = openMailer(mail.env.MAIL_URL, { from: mail.env.MAIL_FROM })
  const { email } = await signUp()
  const [job] = mailJobs({
    mailer,
    tokenOf: createTokens(env.SESSION_SECRETS[0]!),
    origin: env.PUBLIC_ORIGIN,
  })
  const payload = { cause: randomUUID(), requestedAt: Date.now(), purpose: 'reset', email }
  const run = (attempt: number) =>
    job!.run(payload, {
      id: '1',
      attempt,
      signal: AbortSignal.timeout(10_000),
      log: app.log,
      transaction: (work) => resources.database.$transaction(work),
    })

  await run(1)
  await run(2)
  const [first, second] = [await mail.waitForMail(email, 2), await mail.waitForMail(email, 3)]
  expect(second.headers['message-id']).toBe(first.headers['message-id'])
  expect(second.links).toEqual(first.links)
  expect((await reset(tokenOf(second, 'reset'))).statusCode).toBe(204)
  await mail.waitForMail(email, 4)
  await run(3)
  expect(mail.mails(email)).toHaveLength(4)
})

test('nothing in the database opens a link', async () => {
  const { email } = await signUp()
  await forget(email)
  const token = await mailed(email, 2, 'reset')
  const [{ dump }] = await opened.resources.database.$queryRaw<[{ dump: string }]>`
    SELECT database_to_xml(true, false, '')::text AS dump`
  expect(dump).toContain(email)
  expect(dump).not.toContain(token)
})

test.each(['', 'x', '../'.repeat(20), 'A'.repeat(43), 'A'.repeat(10_000)])(
  'a token of another form is refused: %j',
  async (token) => {
    expect((await confirm(token)).statusCode).toBe(400)
    expect((await reset(token)).statusCode).toBe(400)
  },
)
