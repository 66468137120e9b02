import type { Service } from '@repo/service'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { KEPT_DAYS } from '../src/domain/security-events.ts'
import { cookiesOf, openApp, type OpenApp } from './open-app.ts'

let opened: OpenApp
let app: Service

beforeAll(async () => {
  opened = await openApp()
  app = opened.app
})
afterAll(() => opened[Symbol.asyncDispose]())

const password = 'correct horse battery'

const send = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, payload?: object, cookies = {}) =>
  app.inject({
    method,
    url: `/api/accounts${path}`,
    cookies,
    remoteAddress: '203.0.113.7',
    headers: { 'user-agent': `Firefox ${'x'.repeat(1000)}` },
    ...(payload && { payload }),
  })

async function eventsOf(cookies: object) {
  const { events } = (await send('GET', '/me/events', undefined, cookies)).json()
  return events as { event: string; at: string; network: string; userAgent: string }[]
}

test('what happens to an account is noted with its origin, newest first, for its owner alone', async () => {
  const email = 'ada@example.com'
  const first = cookiesOf(await send('POST', '/sign-up', { email, password }))
  await send('POST', '/sign-up', { email: 'eve@example.com', password })
  await send('POST', '/sign-in', { email, password: 'wrong guess' })
  const second = cookiesOf(await send('POST', '/sign-in', { email, password }))
  await send('POST', '/prove', { password: 'wrong guess' }, second)
  const { sessions } = (await send('GET', '/sessions', undefined, second)).json()
  const other = sessions.find(({ current }: { current: boolean }) => !current)
  expect((await send('DELETE', `/sessions/${other.id}`, undefined, second)).statusCode).toBe(204)
  await send('DELETE', '/sessions', undefined, second)
  const next = { current: password, next: 'another horse battery' }
  const third = cookiesOf(await send('PUT', '/password', next, second))

  const events = await eventsOf(third)
  expect(events.map(({ event }) => event)).toEqual([
    'password-changed',
    'sessions-ended',
    'session-ended',
    'proof-failed',
    'signed-in',
    'sign-in-failed',
    'signed-up',
  ])
  expect(events[0]).toMatchObject({
    at: expect.stringMatching(/^2\d{3}-/),
    network: '203.0.113.7',
    userAgent: `Firefox ${'x'.repeat(192)}`,
  })
  expect((await send('GET', '/me/events', undefined, first)).statusCode).toBe(401)
  const exported = (await send('GET', '/me/export', undefined, third)).json()
  expect(exported.events).toEqual(events)
})

test('a change that is not stored leaves no event, and the wrong email none', async () => {
  const { database } = opened.resources
  const before = await database.securityEvent.count()
  expect((await send('POST', '/sign-up', { email: 'eve@example.com', password })).statusCode).toBe(409)
  expect((await send('POST', '/sign-in', { email: 'nobody@example.com', password })).statusCode).toBe(401)
  expect(await database.securityEvent.count()).toBe(before)
})

const daysAgo = (days: number) => ({ at: new Date(Date.now() - days * 864e5) })

test('events are removed after their time by those that come, and with their account', async () => {
  const { database } = opened.resources
  const email = 'old@example.com'
  const cookies = cookiesOf(await send('POST', '/sign-up', { email, password }))
  const { id } = await database.user.findUniqueOrThrow({ where: { email } })
  const where = { userId: id }
  // For a table that it knows with one row, Postgres chooses the plan that once removed all old ones at once.
  await database.securityEvent.deleteMany({ where: { userId: { not: id } } })
  await database.$executeRaw`ANALYZE security_events`
  const old = Array.from({ length: 12 }, () => ({ ...where, kind: 'signed-in', network: '', userAgent: '' }))
  await database.securityEvent.createMany({
    data: old.map((event) => ({ ...event, ...daysAgo(KEPT_DAYS + 1) })),
  })
  await database.securityEvent.create({ data: { ...old[0]!, ...daysAgo(KEPT_DAYS - 1) } })

  const left = []
  for (let n = 0; n < 3; n++) {
    await send('POST', '/sign-in', { email: 'ada@example.com', password: 'another horse battery' })
    left.push(await database.securityEvent.count({ where }))
  }
  // The sign-up, the one that is not old yet, and two of the twelve that are.
  expect(left).toEqual([4, 2, 2])

  await send('POST', '/prove', { password: 'wrong guess' }, cookies)
  expect((await send('DELETE', '/me', undefined, cookies)).statusCode).toBe(204)
  expect(await database.securityEvent.count({ where })).toBe(0)
})
