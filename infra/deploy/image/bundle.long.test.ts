import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { bundle } from '@repo/build'
import { shareUrl } from '@repo/database/shares'
import { createEmptyDatabase, query } from '@repo/testing'
import { openBrowser, type Browser } from '@repo/testing/browser'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { pollUntil } from '@repo/testing/poll-until'
import { freePort } from '@repo/testing/ports'
import { startMailCatcher } from '@repo/testing/start-mail-catcher'
import { startProcess, type NodeProcess } from '@repo/testing/start-process'
import { fetch } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { databaseApps, databaseEnvironment, sessionsIn } from '../../databases.ts'
import { partsOfApps } from '../../parts-of-apps.ts'
import { frontDoor, readFormation, upstreamsOf, type ProcessType } from '../../formation.ts'

const root = resolve(import.meta.dirname, '../../..')
const formation = readFormation(root)
const all = [...formation.release, ...formation.running]
const ofApps = await partsOfApps<{ doWork(person: Browser): Promise<void> }>('test/do-work.ts')
const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())

describe('a bundle', () => {
  // Outside the workspace, so that no parent folder has a node_modules.
  let folder: string
  let admin: string
  let mailServer: Record<string, string> = {}
  const running = new Map<string, NodeProcess>()

  beforeAll(async () => {
    folder = resources.use(await openTemporaryFolder('bundle')).path
    admin = resources.use(await createEmptyDatabase()).url
    // keep: mail
    mailServer = resources.use(await startMailCatcher()).env
    // /keep
    for (const [app, types] of Map.groupBy(all, ({ app }) => app)) {
      await bundle(
        join(root, app),
        types.map(({ entry }) => entry),
        join(folder, app),
      )
    }
  })

  async function start(type: ProcessType, env: Record<string, string> = {}): Promise<NodeProcess> {
    const started = await startProcess({
      name: type.name,
      cwd: join(folder, type.app),
      entry: type.entry.replace('src/', '').replace('.ts', '.js'),
      nodeArgs: ['--enable-source-maps'],
      env: {
        NODE_ENV: 'test',
        PUBLIC_ORIGIN: 'http://localhost',
        DRAIN_MS: '0',
        ...databaseEnvironment(formation, admin)(type),
        ...(type.needs.includes('mail') && mailServer),
        SESSION_SECRETS: randomBytes(32).toString('base64url'),
        ...env,
      },
    })
    resources.use(started)
    running.set(type.name, started)
    return started
  }

  test('of a release process carries the migrations and the engine that applies them', async () => {
    for (const type of formation.release) {
      const { output, exited } = await start(type)
      expect(await exited, output()).toEqual({ code: 0, signal: null })
      expect(output()).toContain('applied')
    }
  })

  test('of a release process leaves a database alone that a later release has migrated', async () => {
    await query(
      shareUrl(admin, databaseApps(formation)[0]!),
      `INSERT INTO _prisma_migrations (id, checksum, migration_name, finished_at, applied_steps_count)
       VALUES ('later', 'none', '99991231000000_later', now(), 1)`,
    )
    const { output, exited } = await start(formation.release[0]!)
    expect(await exited, output()).toEqual({ code: 0, signal: null })
    expect(output()).toContain('nothing to apply')
  })

  test.each([
    ['Postgres', () => sessionsIn(admin)] as const,
    // Only when this machine has a redis-server.
    ...(process.env.SESSION_STORE_URL ? [['Redis', () => process.env.SESSION_STORE_URL!] as const] : []),
  ])('of each process type boots and does its work, with sessions in %s', async (_, store) => {
    const sessions = store()
    const secrets = { SESSION_STORE_URL: sessions, SESSION_SECRETS: randomBytes(32).toString('base64url') }
    const ports = new Map<string, number>()
    for (const { name } of formation.running) ports.set(name, await freePort())
    for (const type of formation.running) {
      const urlsOf = ({ name }: ProcessType): string[] => [`http://127.0.0.1:${ports.get(name)}`]
      const PORT = `${ports.get(type.name)}`
      const upstreams = upstreamsOf(type, formation, urlsOf)
      await start(type, { ...secrets, ...upstreams, PORT, UPSTREAM_PROBE_MS: '50' })
    }
    const edge = running.get(frontDoor(formation)!.name)!
    await Promise.all([...running.values()].filter(({ isRunning }) => isRunning).map(({ ready }) => ready))

    const person = openBrowser((path, init = {}) => {
      const { json, ...rest } = init
      const body = json === undefined ? {} : { body: JSON.stringify(json) }
      const headers = { ...init.headers, ...(json !== undefined && { 'content-type': 'application/json' }) }
      return fetch(edge.url + path, { ...rest, ...body, headers })
    }, 'http://localhost')

    expect(await (await person.request('/')).text()).toContain('<script type="module"')
    const email = `${randomBytes(6).toString('hex')}@example.com`
    const credentials = { email, password: 'correct horse battery' }
    await pollUntil('the edge knows who is ready', async () => {
      return (await person.request('/api/accounts/session')).status !== 503
    })
    const signedUp = await person.request('/api/accounts/sign-up', { method: 'POST', json: credentials })
    expect(signedUp.status).toBe(201)

    for (const { doWork } of ofApps) await doWork(person)

    for (const started of running.values()) {
      await started.stop()
      expect((await started.exited).code, started.output()).toBe(0)
    }
    running.clear()
  })

  test('maps its lines to those of the source', async () => {
    for (const { app, entry } of all) {
      const map = join(folder, app, entry.replace('src/', '').replace('.ts', '.js.map'))
      expect(JSON.parse(await readFile(map, 'utf8')).sources.join()).toContain(entry)
    }
  })
})
