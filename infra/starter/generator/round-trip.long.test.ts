import { afterAll, beforeAll, expect, test } from 'vitest'
import { must, openClone, type Clone } from './open-clone.ts'
import { startDev, type Dev } from './start-dev.ts'

const WITH_WORKER = 'lost-orders'
const WITH_SESSION = 'own-orders'

// Two words, so that a mixed-up spelling is found. Services with sessions answer 401.
const SERVICES = [
  { name: 'plain-orders', args: ['--kind', 'http'], status: 200 },
  { name: 'open-orders', args: ['--kind', 'http', '--with', 'database'], status: 200 },
  { name: 'back-orders', args: ['--kind', 'http', '--with', 'database,session,queue'], status: 401 },
  { name: WITH_WORKER, args: ['--kind', 'http+worker', '--with', 'database'], status: 200 },
  { name: WITH_SESSION, args: ['--kind', 'http', '--with', 'database,session'], status: 401 },
]

let clone: Clone
let dev: Dev
beforeAll(async () => {
  clone = await openClone()
  dev = await startDev(clone)
}, 300_000)
afterAll(async () => {
  await dev[Symbol.asyncDispose]()
  await clone[Symbol.asyncDispose]()
}, 60_000)

test('a running pnpm dev takes up each new service by itself', { timeout: 300_000 }, async () => {
  for (const { name, args, status } of SERVICES) {
    expect(await dev.statusOf(`/api/${name}`)).toBe(404)
    const startedAt = performance.now()
    await must(clone.run('infra/generator/new.ts', [name, ...args, '--force']))
    const madeAt = performance.now()
    await dev.eventually(
      `/api/${name} answers ${status}`,
      async () => (await dev.statusOf(`/api/${name}`)) === status,
    )
    const [generator, all] = [madeAt - startedAt, performance.now() - startedAt].map(Math.round)
    console.log(`${name}: pnpm new ${generator} ms, first ${status} through the edge ${all} ms`)
  }
})

test('an item is added through the edge, and the worker finishes it', async () => {
  const added = await fetch(`${dev.url}/api/${WITH_WORKER}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ title: 'one' }),
  })
  expect(added.status).toBe(201)
  const { id } = (await added.json()) as { id: string }
  await dev.eventually('it is done', async () => {
    const answer = await fetch(`${dev.url}/api/${WITH_WORKER}/${id}`)
    return ((await answer.json()) as { doneAt: string | null }).doneAt !== null
  })
})

test('what a service is given later, its running processes have', { timeout: 120_000 }, async () => {
  const [{ name }] = SERVICES as [(typeof SERVICES)[number]]
  await must(clone.run('infra/generator/add-to.ts', [name, 'session', '--force']))
  await must(clone.run('infra/generator/add-to.ts', [name, 'queue', '--force']))
  await must(clone.run('infra/generator/new.ts', ['job', `${name}/settle-all`, '--force']))
  await must(clone.run('infra/generator/new.ts', ['route', `${name}/refunds`, '--force']))
  await dev.eventually('it knows who asks', async () => (await dev.statusOf(`/api/${name}/refunds`)) === 401)
})

test('a route and a job more are registered, answered and tested', { timeout: 120_000 }, async () => {
  for (const [kind, part] of [
    ['route', `${WITH_SESSION}/refunds`],
    ['route', `${WITH_WORKER}/late-ones`],
    ['job', `${WITH_WORKER}/settle-all`],
  ]) {
    await must(clone.run('infra/generator/new.ts', [kind!, part!, '--force']))
  }
  await dev.eventually(
    'the route answers',
    async () => (await dev.statusOf(`/api/${WITH_WORKER}/late-ones`)) === 200,
  )
  await dev.eventually(
    'the other does',
    async () => (await dev.statusOf(`/api/${WITH_SESSION}/refunds`)) === 401,
  )
  const again = await clone.run('infra/generator/new.ts', ['route', `${WITH_SESSION}/refunds`, '--force'])
  expect(again).toMatchObject({ code: 1, output: expect.stringContaining('It is taken') })
})

test('pnpm check finds everything in order', { timeout: 240_000 }, async () => {
  await must(clone.pnpm('check'))
})

test("the services' own tests pass", { timeout: 240_000 }, async () => {
  for (const { name } of SERVICES) await must(clone.pnpm('--filter', `@repo/${name}`, 'test'))
})

test('what something depends on is not retired', async () => {
  const { code, output } = await clone.run('infra/generator/retire.ts', ['config', '--force'])
  expect(code).toBe(1)
  expect(output).toMatch(/config is still needed:\n {2}apps\/accounts\/package\.json:\d+ {2}"@repo\/config"/)
})

test('a service of the same name may come again', { timeout: 120_000 }, async () => {
  const { name, args, status } = SERVICES.find(({ name }) => name === WITH_WORKER)!
  await must(clone.run('infra/generator/retire.ts', [name, '--force']))
  await dev.eventually('it is gone', async () => (await dev.statusOf(`/api/${name}`)) === 404)
  await must(clone.run('infra/generator/new.ts', [name, ...args, '--force']))
  await dev.eventually('it is back', async () => (await dev.statusOf(`/api/${name}`)) === status)
  const answer = await fetch(`${dev.url}/api/${name}`)
  expect(await answer.json()).toMatchObject({ items: [] })
})

test(
  'once they are retired, the edge knows them no more and git sees nothing',
  { timeout: 300_000 },
  async () => {
    for (const { name } of SERVICES) await must(clone.run('infra/generator/retire.ts', [name, '--force']))
    for (const { name } of SERVICES) {
      await dev.eventually(`${name} is gone`, async () => (await dev.statusOf(`/api/${name}`)) === 404)
    }
    expect(await clone.status()).toBe('')
    expect(await dev.statusOf('/api/accounts/me')).toBe(401)
  },
)
