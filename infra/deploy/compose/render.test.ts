import { readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { parseEnv } from 'node:util'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { processTypeOf, readFormation, type Formation } from '../../formation.ts'
import { openHouse } from '../test/open-house.ts'
import { readVariables, type Variable } from '../variables.ts'
import { makeSecrets } from './make-secrets.ts'
import { renderCompose } from './render.ts'

const root = resolve(import.meta.dirname, '../../..')
const formation = readFormation(root)
const orders = processTypeOf('apps/orders', 'orders', { entry: 'src/server.ts', route: '/api/orders' })
const withOrders: Formation = { ...formation, running: [...formation.running, orders] }

interface Compose {
  services: Record<
    string,
    {
      depends_on?: Record<string, { condition: string }>
      environment?: Record<string, string>
      secrets?: string[]
      container_name?: string
      healthcheck?: unknown
      restart?: string
      read_only?: boolean
      cap_drop?: string[]
      security_opt?: string[]
      mem_limit?: string
      networks?: string[]
      tmpfs?: string[]
      volumes?: string[]
    }
  >
  secrets: Record<string, { file: string }>
  networks: Record<string, { internal?: boolean }>
}
const variables = await readVariables(root, formation)
const compose = (of: Formation): Compose => parse(renderCompose(of, variables), { merge: true }) as Compose

test('a process type is a service that the edge knows', () => {
  const { services } = compose(withOrders)
  expect(services['orders']).toBeDefined()
  expect(services['web']!.environment!['UPSTREAMS']).toContain('/api/orders=http://orders:3000')
})

test('temporary files of a process type that declares scratchMiB are on a disk, and not in its memory', () => {
  const parser = processTypeOf('apps/orders', 'parser', { entry: 'src/worker.ts', scratchMiB: 300 })
  const { services } = compose({ ...withOrders, running: [...withOrders.running, parser] })
  expect(services['parser']).toMatchObject({ tmpfs: [], volumes: ['/tmp'], read_only: true })
  expect(services['orders']).toMatchObject({ tmpfs: ['/tmp'] })
  expect(services['orders']!.volumes).toBeUndefined()
})

test('starts in an order without a circle: stores, release, services, load balancer', () => {
  const started = startOrder(compose(formation))
  const before = (one: string, other: string): void => {
    expect(started.indexOf(one), `${one} before ${other}`).toBeLessThan(started.indexOf(other))
  }
  before('postgres', 'migrate')
  for (const { name, needs } of formation.running) {
    before('migrate', name)
    if (needs.includes('session')) before('redis', name)
  }
  before('web', 'balancer')
  expect(started).toHaveLength(Object.keys(compose(formation).services).length)
})

test('an order that never ends is noticed', () => {
  const broken = compose(formation)
  broken.services['postgres']!.depends_on = { web: { condition: 'service_healthy' } }
  expect(() => startOrder(broken)).toThrow(/wait for each other/)
  const unhealthy = compose(formation)
  delete unhealthy.services['postgres']!.healthcheck
  expect(() => startOrder(unhealthy)).toThrow(/has no health check/)
})

test('lets every type have any number of processes, and takes every secret from a file', () => {
  const { services, secrets } = compose(formation)
  for (const [name, service] of Object.entries(services)) {
    expect(service.container_name, name).toBeUndefined()
    for (const secret of service.secrets ?? [])
      expect(secrets[secret]?.file).toBe(`../../../.secrets/${secret}`)
    expect(Object.keys(service.environment ?? {}), name).not.toContain('DATABASE_URL')
  }
})

test('contains every service, the stores and the load balancer', () => {
  for (const [name, service] of Object.entries(compose(formation).services)) {
    expect(service, name).toMatchObject({
      read_only: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      mem_limit: expect.stringMatching(/^\d+m$/),
    })
  }
})

test('keeps from the internet all but the edge the processes that call it and the page with the mails, and the stores from the front network', () => {
  const { services, networks } = compose(formation)
  const open = Object.keys(networks).filter((name) => !networks[name]?.internal)
  expect(open).toEqual(['front', 'outside'])
  const onThem = Object.keys(services).filter((name) =>
    services[name]!.networks!.some((network) => open.includes(network)),
  )
  const callers = formation.running.filter(({ reaches }) => reaches.length > 0).map(({ name }) => name)
  const mailpit = services['mailpit'] ? ['mailpit'] : []
  expect(onThem.sort()).toEqual(['balancer', 'web', ...callers, ...mailpit].sort())
})

test('a secret is read from a file, and the rest from the environment', async () => {
  await using house = await openHouse()
  const { services, secrets } = parse(house.files.get('infra/deploy/compose/compose.yaml')!, { merge: true })
  expect(services.orders.secrets).toEqual(['orders.env'])
  expect(secrets['orders.env']).toEqual({ file: '../../../.secrets/orders.env' })
  expect(services.orders.environment).toMatchObject({ PAYMENTS_HOST: '${PAYMENTS_HOST:-}' })
  expect(JSON.stringify(services.web)).not.toContain('PAYMENTS')
})

test('a person is told what to fill in, and what they have filled in stays', async () => {
  await using house = await openHouse()
  const { root, formation, variables } = house
  expect(makeSecrets(root, formation, variables).open).toEqual([
    'PAYMENTS_KEY in .secrets/orders.env',
    'PAYMENTS_WEBHOOK_KEY in .secrets/orders.env',
  ])
  const file = join(root, '.secrets/orders.env')
  expect(await readFile(file, 'utf8')).toBe('PAYMENTS_KEY=\nPAYMENTS_WEBHOOK_KEY=\n')
  await writeFile(file, 'PAYMENTS_KEY=sk_1\nPAYMENTS_WEBHOOK_KEY=wh_1\n')
  expect(makeSecrets(root, formation, variables)).toEqual({ made: [], open: [] })
  expect(await readFile(file, 'utf8')).toBe('PAYMENTS_KEY=sk_1\nPAYMENTS_WEBHOOK_KEY=wh_1\n')
})

function secret(name: string, store: string, key = name): Variable {
  return { name, kept: { store, key }, description: '', expected: 'text', isRequired: true }
}

test('a caller gets the secrets of the calls to another app, and none of its others', async () => {
  await using house = await openHouse()
  const catalog = processTypeOf('apps/catalog', 'catalog', { entry: 'src/server.ts', route: '/api/catalog' })
  const { root } = house
  const [orders] = house.formation.running
  const variables = new Map([
    ['orders', [secret('CATALOG_CALL_SECRETS', 'catalog', 'CALL_SECRETS')]],
    ['catalog', [secret('CALL_SECRETS', 'catalog'), secret('PAYMENTS_KEY', 'catalog')]],
  ])
  // The caller comes first in one order, and the callee in the other.
  for (const running of [
    [orders!, catalog],
    [catalog, orders!],
  ]) {
    const formation = { release: [], running }
    const { services } = parse(renderCompose(formation, variables), { merge: true }) as Compose
    expect(services['orders']!.secrets).toEqual(['orders.env'])
    expect(services['catalog']!.secrets).toEqual(['catalog.env'])
    makeSecrets(root, formation, variables)
    const read = async (app: string) => parseEnv(await readFile(join(root, `.secrets/${app}.env`), 'utf8'))
    const { CALL_SECRETS, ...others } = await read('catalog')
    expect(CALL_SECRETS).toMatch(/^.{32,}$/)
    expect(others).toEqual({ PAYMENTS_KEY: '' })
    expect(await read('orders')).toEqual({ CATALOG_CALL_SECRETS: CALL_SECRETS })
    // A new secret is written once, at the callee.
    await writeFile(join(root, '.secrets/catalog.env'), `CALL_SECRETS=${'n'.repeat(32)},${CALL_SECRETS}\n`)
    makeSecrets(root, formation, variables)
    expect(await read('orders')).toEqual({ CATALOG_CALL_SECRETS: `${'n'.repeat(32)},${CALL_SECRETS}` })
    await rm(join(root, '.secrets'), { recursive: true })
  }
})

/**
 * The names of the services in the order in which Compose starts them.
 *
 * @throws when a condition can never be met
 */
function startOrder({ services }: Compose): string[] {
  const started: string[] = []
  const ours = new Set([...formation.release, ...formation.running].map(({ name }) => name))
  const isMet = ([name, { condition }]: [string, { condition: string }]): boolean => {
    const service = services[name]
    if (!service) throw new Error(`${name} is waited for and is not there`)
    // Our own images contain their health check.
    if (condition === 'service_healthy' && !service.healthcheck && !ours.has(name)) {
      throw new Error(`${name} is waited for until it is healthy, and has no health check`)
    }
    if (condition === 'service_completed_successfully' && service.restart !== 'no') {
      throw new Error(`${name} is waited for until it ends, and is started again when it does`)
    }
    return started.includes(name)
  }
  while (started.length < Object.keys(services).length) {
    const next = Object.keys(services).filter((name) => {
      return !started.includes(name) && Object.entries(services[name]!.depends_on ?? {}).every(isMet)
    })
    if (next.length === 0) throw new Error(`${Object.keys(services).join(', ')} wait for each other`)
    started.push(...next)
  }
  return started
}
