import { join } from 'node:path'
import { expect, onTestFinished, test, vi } from 'vitest'
import { fleet } from '../src/fleet.ts'

const app = join(import.meta.dirname, 'fixture-app')

interface Answer {
  name: string
  count: number
  pid: number
  headers: Record<string, string>
  env: Record<string, string>
}

async function ask(response: Promise<{ json(): Promise<unknown> }>): Promise<Answer> {
  return (await (await response).json()) as Answer
}

test('successive requests reach successive processes, which are real ones', async () => {
  await using services = await fleet(app, { processes: 3 })
  const answers = []
  for (let i = 0; i < 6; i++) answers.push(await ask(services.request('/')))
  const names = ['fixture.1', 'fixture.2', 'fixture.3']
  expect(answers.map(({ name }) => name)).toEqual([...names, ...names])
  expect(new Set(answers.map(({ pid }) => pid)).size).toBe(3)
  expect(answers.map(({ pid }) => pid)).not.toContain(process.pid)
})

test('a request may name its process, and the turn stays where it was', async () => {
  await using services = await fleet(app)
  expect((await ask(services.request('/', { process: 2 }))).name).toBe('fixture.2')
  expect((await ask(services.request('/'))).name).toBe('fixture.1')
})

test('a killed process gets no request until it is restarted, as a new process', async () => {
  await using services = await fleet(app)
  const before = await ask(services.request('/', { process: 2 }))
  await services.kill(2)
  expect(() => process.kill(before.pid, 0)).toThrow('ESRCH')
  for (let i = 0; i < 3; i++) expect((await ask(services.request('/'))).name).toBe('fixture.1')
  await services.restart(2)
  const after = await ask(services.request('/', { process: 2 }))
  expect(after.pid).not.toBe(before.pid)
})

test('a stopped process tells how it ended', async () => {
  await using services = await fleet(app)
  expect(await services.stop(1)).toEqual({ code: 0, signal: null })
})

// keep: calls
test('the services that it calls are started with it, and it is told where they are', async () => {
  await using callers = await fleet(join(import.meta.dirname, 'fixture-caller'))
  const { UPSTREAMS } = (await ask(callers.request('/'))).env
  const [fixture, back] = ['fixture', 'caller-back'].map((name) => {
    const callee = callers.callee(name)
    return `/api/${name}=${callee.process(1).url}|${callee.process(2).url}`
  })
  expect(UPSTREAMS).toBe(`${fixture},${back}`)
  // It calls back one that is not there yet.
  const { env } = await ask(callers.callee('caller-back').request('/'))
  expect(env.UPSTREAMS).toBe('/api/caller=http://127.0.0.1:1')
  expect(() => callers.callee('nobody')).toThrow('caller has started no nobody')
})
// /keep

test('the environment of a process is complete: it inherits nothing from the test', async () => {
  vi.stubEnv('OURS', "and nobody else's")
  onTestFinished(() => void vi.unstubAllEnvs())
  await using services = await fleet(app, { processes: 1, env: { LOG_LEVEL: 'warn' } })
  const { env } = await ask(services.request('/'))
  expect(env).toMatchObject({ NODE_ENV: 'test', PUBLIC_ORIGIN: 'http://localhost', LOG_LEVEL: 'warn' })
  expect(env).not.toHaveProperty('OURS')
  expect(env).not.toHaveProperty('HOME')
})

test('a process may write only in its temporary folder, which is emptied before the next request', async () => {
  await using services = await fleet(app, { processes: 1 })
  expect(await (await services.request('/keep')).text()).toBe('ERR_ACCESS_DENIED')
  expect((await ask(services.request('/leave'))).name).toBe('fixture.1')
  expect(await (await services.request('/left')).json()).toEqual([])
})

test('a process that cannot start fails the fleet, with its own last words', async () => {
  await expect(fleet(app, { process: 'fixture-stubborn' })).rejects.toThrow(/code 9[^]*I was not meant/)
})

test('a process that ends by itself fails the test that disposes its fleet', async () => {
  const services = await fleet(app)
  await services.request('/crash', { process: 1 }).catch(() => {})
  await services.process(1).exited
  await expect(services[Symbol.asyncDispose]()).rejects.toThrow('fixture.1 had ended by itself with code 3')
  expect(services.process(2).isRunning).toBe(false)
})

test('an unknown process type is refused, by name', async () => {
  await expect(fleet(app, { process: 'nobody' })).rejects.toThrow(
    'no process "nobody", but fixture, fixture-stubborn',
  )
})

test('a browser keeps the cookies that a browser would keep, and sends them to every process', async () => {
  await using services = await fleet(app)
  const browser = services.browser()
  browser.cookies.set('gone', 'soon')
  await browser.request('/')
  expect(browser.cookies).toEqual(new Map([['__Host-a', '1']]))
  const second = await ask(browser.request('/', { method: 'POST', json: {} }))
  expect(second).toMatchObject({
    name: 'fixture.2',
    headers: { cookie: '__Host-a=1', origin: 'http://localhost', 'sec-fetch-site': 'same-origin' },
  })
})
