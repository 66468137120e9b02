import { cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { copyRepository, isAlive, runDev, type Copy, type Dev } from './run-dev.ts'

// Every process is really started, and compiled first. On a busy machine that takes long.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let copy: Copy
let dev: Dev
let app: string

beforeAll(async () => {
  copy = await copyRepository()
  app = join(copy.root, 'apps/accounts/src/app.ts')
  await writeService('debugged', join(copy.root, 'apps/debugged'))
  dev = await runDev(copy, { args: ['--inspect', 'debugged'] })
  await dev.says(/^ready in/m, 60_000)
})

afterAll(async () => {
  await dev[Symbol.asyncDispose]()
  await copy[Symbol.asyncDispose]()
})

function soon(claim: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
  return pollUntil(claim, isTrue, { deadlineMs: 60_000 })
}

/** Adds a route to the accounts service, or changes its answer. */
async function edit(answer: string): Promise<void> {
  const source = await readFile(app, 'utf8')
  const route = `  app.get('/api/accounts/edit', { config: { access: 'public' } }, () => ({ answer: ${answer} }))\n`
  await writeFile(app, source.replace(/ {2}app\.get\('\/api\/accounts\/edit.*\n|(?= {2}return app\n)/, route))
}

async function ask(): Promise<{ status: number; process: string | null; answer: unknown }> {
  const response = await fetch(`${dev.url}/api/accounts/edit`)
  const { answer } = (await response.json()) as { answer?: unknown }
  return { status: response.status, process: response.headers.get('x-process'), answer }
}

/** Whether both processes give this answer. */
async function bothAnswer(expected: unknown): Promise<boolean> {
  const answers = [await ask(), await ask()]
  return (
    new Set(answers.map(({ process }) => process)).size === 2 &&
    answers.every(({ answer }) => answer === expected)
  )
}

describe('pnpm dev', () => {
  test('says what runs where, and alternates between the processes', async () => {
    expect(dev.said()).toMatch(/^ {2}accounts +accounts\.1 +http:\/\/127\.0\.0\.1:\d+ +pid \d+$/m)
    expect(dev.said()).toMatch(/^ {2}postgres +postgres:\/\/\S+ +pid \d+$/m)
    expect(dev.said()).not.toContain('\x1b')
    expect(dev.pids().every(isAlive)).toBe(true)
    const processes = [await ask(), await ask(), await ask(), await ask()].map(({ process }) => process)
    expect(new Set(processes)).toEqual(new Set(['accounts.1', 'accounts.2']))
  })

  test('keeps its secrets where only their owner reads them', async () => {
    const { mode } = await stat(join(copy.root, '.dev/secrets.json'))
    expect(mode & 0o777).toBe(0o600)
  })

  test('an edit restarts the processes that import the file and no other, and loses no request', async () => {
    const statuses: number[] = []
    const nobody = { headers: { 'content-type': 'application/json' }, body: '{}' }
    const stop = new AbortController()
    const load = (async () => {
      for (; !stop.signal.aborted; await sleep(15)) {
        statuses.push((await fetch(`${dev.url}/api/accounts/me`)).status)
        statuses.push((await fetch(`${dev.url}/api/accounts/sign-in`, { method: 'POST', ...nobody })).status)
      }
    })()
    const ours = ['accounts.1', 'accounts.2'].map((name) => dev.pid(name))
    const others = dev.pids().filter((pid) => !ours.includes(pid))
    expect(others.length).toBeGreaterThan(2)
    const summary = dev.says(
      /app\.ts: restarted accounts\.1 \(pid \d+\), accounts\.2 \(pid \d+\) in [\d.]+ s/,
    )
    await edit(`'first'`)
    await summary
    await soon('both answer', () => bothAnswer('first'))
    stop.abort()
    await load
    expect(statuses.length).toBeGreaterThan(20)
    // 401 because no user is signed in, and 400 because the body has no address.
    expect(new Set(statuses)).toEqual(new Set([401, 400]))
    expect(others.every(isAlive)).toBe(true)
  })

  test('an edit of the schema of an app makes its client anew, and restarts its own processes and no others', async () => {
    const schema = join(copy.root, 'apps/accounts/schema.prisma')
    const before = await readFile(schema, 'utf8')
    const names = ['accounts-worker.1', 'accounts-worker.2', 'accounts.1', 'accounts.2']
    const ours = names.map((name) => dev.pid(name))
    const others = dev.pids().filter((pid) => !ours.includes(pid))
    for (const text of [`${before}\nmodel Extra {\n  id String @id\n}\n`, before]) {
      const each = names.map((name) => `${name} \\(pid \\d+\\)`)
      const restarted = dev.says(new RegExp(`restarted ${each.join(', ')} in [\\d.]+ s`))
      await writeFile(schema, text)
      await restarted
    }
    expect(others.every(isAlive)).toBe(true)
    expect(ours.some(isAlive)).toBe(false)
  })

  test('a schema that cannot be read is told, and keeps an edit of no other app from being followed', async () => {
    const schema = join(copy.root, 'apps/accounts/schema.prisma')
    const before = await readFile(schema, 'utf8')
    const told = dev.says(/"generate" of apps\/accounts failed/)
    await writeFile(schema, `${before}\nmodel {\n`)
    await told
    const pid = dev.pid('accounts.1')
    const server = join(copy.root, 'apps/debugged/src/server.ts')
    const restarted = dev.says(/server\.ts: restarted debugged\.1 .*debugged\.2/)
    await writeFile(server, `${await readFile(server, 'utf8')}// edited\n`)
    await restarted
    expect(dev.pid('accounts.1')).toBe(pid)
    // The client is the one of this schema, so nobody has to restart.
    await writeFile(schema, before)
  })

  test('an edit that cannot be read is told, restarts nobody, and is mended by the next save', async () => {
    const told = dev.says(/accounts\.1: not started.* accounts\.1 and accounts\.2 run the code from before/)
    await edit(`'second' +`)
    await told
    expect(dev.said()).toMatch(/accounts\.1 +file:\/\/\S+\/apps\/accounts\/src\/app\.ts:\d+\n/)
    expect(dev.said()).toMatch(/accounts\.1 +SyntaxError/)
    expect(await bothAnswer('first')).toBe(true)
    await edit(`'third'`)
    await soon('both answer', () => bothAnswer('third'))
  })

  test('an edit that fails when it is run leaves both processes with the code from before', async () => {
    const told = dev.says(/accounts\.1: not started.* accounts\.1 and accounts\.2 run the code from before/)
    const source = await readFile(app, 'utf8')
    await writeFile(app, `${source}\nthrow new Error('planted')\n`)
    await told
    expect(dev.said()).toContain('planted')
    expect(await bothAnswer('third')).toBe(true)
    const mended = dev.says(/app\.ts: restarted accounts\.1 \(pid \d+\), accounts\.2/)
    await writeFile(app, source)
    await mended
  })

  test('a process that crashes is started again', async () => {
    const told = dev.says(
      /accounts\.2: crashed \(SIGKILL\)\. It is started again in 0\.25 s\.\n[^]*accounts\.2: ready again/,
    )
    process.kill(dev.pid('accounts.2'), 'SIGKILL')
    await told
    await soon('both answer', () => bothAnswer('third'))
  })

  test('an edit of the page is built and served, and restarts nobody', async () => {
    const page = join(copy.root, 'apps/web/page/index.html')
    await writeFile(page, (await readFile(page, 'utf8')).replace(/<title>.*</, '<title>Edited<'))
    await soon('it is served', async () => (await (await fetch(dev.url)).text()).includes('<title>Edited<'))
    expect(isAlive(dev.pid('web.1'))).toBe(true)
  })

  test("an edit of an app's part of the page is built and served, too", async () => {
    const part = join(copy.root, 'apps/debugged/page/places.ts')
    await mkdir(dirname(part))
    await writeFile(
      part,
      "export const places = [{ word: 'edited', name: 'Of an app', show: () => new Text() }]\n",
    )
    await soon('it is served', async () => {
      const [script] = /assets\/index-[^"]+\.js/.exec(await (await fetch(dev.url)).text()) ?? []
      return (await (await fetch(`${dev.url}/${script}`)).text()).includes('Of an app')
    })
    expect(isAlive(dev.pid('web.1'))).toBe(true)
  })

  test('a debugger listens on the first process of its type, and after an edit again on the same port', async () => {
    const [, port] = /^debugged\.1 +Debugger listening on ws:\/\/127\.0\.0\.1:(\d+)\//m.exec(dev.said())!
    const ask = async (): Promise<number> => (await fetch(`http://127.0.0.1:${port}/json/version`)).status
    expect(await ask()).toBe(200)
    const server = join(copy.root, 'apps/debugged/src/server.ts')
    const restarted = dev.says(/server\.ts: restarted debugged\.1 .*debugged\.2/)
    await writeFile(server, `${await readFile(server, 'utf8')}// edited\n`)
    await restarted
    expect(await ask()).toBe(200)
    expect(dev.said()).not.toMatch(/debugged\.2 +Debugger/)
  })

  test('a new app is started and routed to, and one that is removed is stopped', async () => {
    const read = async (): Promise<number> => (await fetch(`${dev.url}/api/greetings`)).status
    expect(await read()).toBe(404)
    await writeService('greetings', join(copy.root, '.dev/greetings'))
    await rename(join(copy.root, '.dev/greetings'), join(copy.root, 'apps/greetings'))
    await soon('the new service answers', async () => (await read()) === 200)
    const pid = dev.pid('greetings.2')
    expect(isAlive(pid)).toBe(true)

    await rm(join(copy.root, 'apps/greetings'), { recursive: true })
    await soon('its process has ended', () => !isAlive(pid))
    await soon('the edge knows it no more', async () => (await read()) === 404)
    expect(await bothAnswer('third')).toBe(true)
  })

  test('a process that misses a variable says which, and keeps nobody else from running', async () => {
    const told = dev.says(/lacking\.\d +LACKED is missing, expected text/)
    await writeService('lacking', join(copy.root, '.dev/lacking'), 'LACKED: Type.String()')
    await rename(join(copy.root, '.dev/lacking'), join(copy.root, 'apps/lacking'))
    await told
    expect(await bothAnswer('third')).toBe(true)
    await rm(join(copy.root, 'apps/lacking'), { recursive: true })
  })

  test('a migration that takes something away is applied once a person has said that it may', async () => {
    const folder = join(copy.root, 'apps/accounts/migrations/20990101000000_drop')
    const file = join(folder, 'migration.sql')
    await mkdir(folder)
    const held = dev.says(/^.*No migration is applied/m)
    await writeFile(file, 'DROP TABLE IF EXISTS "left_over";\n')
    await held
    expect(dev.said()).toMatch(/20990101000000_drop\/migration\.sql:1: drop table/)
    const applied = dev.says(/applied accounts\/20990101000000_drop/)
    await writeFile(file, '-- safe: of this test alone\nDROP TABLE IF EXISTS "left_over";\n')
    await applied

    const edited = dev.says(/20990101000000_drop: applied as it was before this edit.*pnpm migrate amend/)
    await writeFile(file, '-- safe: still\nDROP TABLE IF EXISTS "left_over";\n')
    await edited
  })
})

async function writeService(name: string, folder: string, variable = ''): Promise<void> {
  const processes = { [name]: { entry: 'src/server.ts', route: `/api/${name}` } }
  await mkdir(join(folder, 'src'), { recursive: true })
  await cp(join(copy.root, 'apps/accounts/node_modules'), join(folder, 'node_modules'), {
    recursive: true,
    verbatimSymlinks: true,
  })
  await writeFile(join(folder, 'package.json'), JSON.stringify({ type: 'module', processes }))
  await writeFile(
    join(folder, 'src/server.ts'),
    `import { loadEnv } from '@repo/config'
    import { createService, runService, serviceEnv } from '@repo/service'
    import { Type } from 'typebox'
    const env = loadEnv(Type.Object({ ...serviceEnv, ${variable} }), process.env)
    const app = createService({ name: '${name}', env })
    app.get('/api/${name}', { config: { access: 'public' } }, () => ({ greeting: 'hello' }))
    await runService(app, env)`,
  )
}
