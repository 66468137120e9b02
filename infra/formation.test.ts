import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { frontDoor, readFormation, upstreamsOf } from './formation.ts'

let root: string

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'nonstick-formation-'))
})

afterEach(() => rm(root, { recursive: true }))

async function app(name: string, processes: unknown): Promise<void> {
  await mkdir(join(root, 'apps', name, 'src'), { recursive: true })
  await writeFile(join(root, 'apps', name, 'src/server.ts'), '')
  await writeFile(join(root, 'apps', name, 'package.json'), JSON.stringify({ processes }))
}

/** All problems, one line each. */
function problems(): string {
  try {
    readFormation(root)
  } catch (error) {
    return (error as Error).message
  }
  return ''
}

const entry = 'src/server.ts'

describe('the formation', () => {
  test('of this repository is what the architecture says', () => {
    const formation = readFormation(resolve(import.meta.dirname, '..'))
    expect(formation.release.map(({ name }) => name)).toEqual(['migrate'])
    const names = formation.running.map(({ name }) => name)
    expect(names).toEqual(expect.arrayContaining(['accounts', 'web']))
    expect(frontDoor(formation)).toMatchObject({ name: 'web', app: 'apps/web' })
  })

  test('is read from every app, sorted by name, release processes apart', async () => {
    await app('zoo', { zoo: { entry, route: '/api/zoo', needs: ['database'] }, 'zoo-worker': { entry } })
    await app('ant', { ant: { entry, route: '/' }, prepare: { entry, release: true } })
    await app('empty', undefined)
    const memoryMiB = 256
    expect(readFormation(root)).toEqual({
      release: [{ name: 'prepare', app: 'apps/ant', entry, needs: [], calls: [], reaches: [], memoryMiB }],
      running: [
        { name: 'ant', app: 'apps/ant', entry, route: '/', needs: [], calls: [], reaches: [], memoryMiB },
        {
          name: 'zoo',
          app: 'apps/zoo',
          entry,
          route: '/api/zoo',
          needs: ['database'],
          calls: [],
          reaches: [],
          memoryMiB,
        },
        { name: 'zoo-worker', app: 'apps/zoo', entry, needs: [], calls: [], reaches: [], memoryMiB },
      ],
    })
  })

  test('names file, process and field of all that is wrong, at once', async () => {
    await app('a', { a: { entry: 'src/nowhere.ts' }, 'B!': { entry } })
    await app('b', { b: { entry, rout: '/api/b' }, c: { entry, needs: ['redis'] }, d: {}, e: 3 })
    expect(problems().split('\n')).toEqual([
      'apps/a/package.json: processes.a.entry: there is no src/nowhere.ts',
      'apps/a/package.json: processes.B!: expected a name of lower case letters, digits and hyphens',
      'apps/b/package.json: processes.b.rout is no field: there are entry, route, needs, calls, page, memoryMiB, scratchMiB, reaches, release',
      expect.stringMatching(/^apps\/b\/package\.json: processes\.c\.needs: expected what it is attached to/),
      expect.stringMatching(/^apps\/b\/package\.json: processes\.d\.entry: expected the file that Node runs/),
      'apps/b/package.json: processes.e: expected an object',
    ])
  })

  test('refuses a process type that needs mail and does not say where its mail server is', async () => {
    await app('a', { a: { entry, needs: ['mail'] } })
    expect(problems()).toMatch(
      /^apps\/a\/package\.json: processes\.a\.reaches: it needs mail, so expected .*:587/,
    )
    await app('a', { a: { entry, needs: ['mail'], reaches: ['smtp.example.com:587'] } })
    expect(problems()).toBe('')
  })

  test('refuses two process types of one name or of one route, naming both', async () => {
    await app('a', { same: { entry, route: '/api/a' } })
    await app('b', { same: { entry, route: '/api/b' }, other: { entry, route: '/api/a' } })
    expect(problems().split('\n')).toEqual([
      'apps/a/package.json: processes.same and apps/b/package.json: processes.same have the same name same',
      'apps/a/package.json: processes.same and apps/b/package.json: processes.other have the same route /api/a',
    ])
  })

  test('refuses a package.json that is none', async () => {
    await app('a', {})
    await writeFile(join(root, 'apps/a/package.json'), '{ "processes": ')
    expect(problems()).toMatch(/^apps\/a\/package\.json: /)
    await writeFile(join(root, 'apps/a/package.json'), '{ "processes": [] }')
    expect(problems()).toBe('apps/a/package.json: processes must be an object of name and declaration')
  })

  test('tells the edge where every service is, and a caller where those are that it calls', async () => {
    await app('a', { a: { entry, route: '/api/a', calls: ['b'] }, door: { entry, route: '/' } })
    await app('b', { b: { entry, route: '/api/b', calls: ['a'] }, worker: { entry } })
    const formation = readFormation(root)
    const told = formation.running.map((type) =>
      upstreamsOf(type, formation, ({ name }) => [`http://${name}:1`, `http://${name}:2`]),
    )
    const [a, b] = ['/api/a=http://a:1|http://a:2', '/api/b=http://b:1|http://b:2']
    expect(told).toEqual([{ UPSTREAMS: b }, { UPSTREAMS: a }, { UPSTREAMS: `${a},${b}` }, {}])
  })

  test('refuses a call to what answers no requests, to itself, and of what reaches all or runs alone', async () => {
    await app('a', {
      a: { entry, route: '/api/a', calls: ['a', 'worker', 'nobody', 'b'] },
      door: { entry, route: '/', calls: ['a'] },
      b: { entry, route: '/api/b' },
      worker: { entry },
      first: { entry, release: true, calls: ['a'] },
    })
    expect(problems()).toBe(
      [
        'apps/a/package.json: processes.door.calls: the public edge reaches every service without it',
        'apps/a/package.json: processes.first.calls: a release process runs before any other',
        ...['a', 'worker', 'nobody'].map(
          (name) =>
            `apps/a/package.json: processes.a.calls: no other process type with a route is called ${name}: there are b`,
        ),
      ].join('\n'),
    )
  })
})
