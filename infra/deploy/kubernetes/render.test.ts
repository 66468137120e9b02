import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { processTypeOf, readFormation, type Formation } from '../../formation.ts'
import { findDrift } from '../find-drift.ts'
import { openHouse } from '../test/open-house.ts'
import { readVariables } from '../variables.ts'
import { render } from './render.ts'

const root = resolve(import.meta.dirname, '../../..')
const formation = readFormation(root)
const orders = processTypeOf('apps/orders', 'orders', { entry: 'src/server.ts', route: '/api/orders' })
const withOrders: Formation = { ...formation, running: [...formation.running, orders] }
const parser = processTypeOf('apps/orders', 'parser', { entry: 'src/worker.ts', scratchMiB: 300 })
const withParser: Formation = { ...withOrders, running: [...withOrders.running, parser] }
const files = new Map(render(withParser, await readVariables(root, formation)))
const fileOf = (name: string): string => files.get(`infra/deploy/kubernetes/base/${name}.yaml`)!

test('a process type is a Deployment, in the kustomization, and reached by its route', () => {
  expect(fileOf('orders')).toContain('kind: Deployment')
  expect(fileOf('kustomization')).toContain('- orders.yaml')
  expect(fileOf('ingress')).toContain('path: /api/orders')
})

const pods = (names: string[]) =>
  names.map((name) => ({ podSelector: { matchLabels: { 'app.kubernetes.io/name': name } } }))

test('a caller may reach what it calls, which lets it in, and nobody else', async () => {
  const [edge, catalog, shipping] = [
    processTypeOf('apps/web', 'web', { entry: 'src/server.ts', route: '/' }),
    processTypeOf('apps/catalog', 'catalog', { entry: 'src/server.ts', route: '/api/catalog' }),
    processTypeOf('apps/shipping', 'shipping', { entry: 'src/worker.ts', calls: ['catalog'] }),
  ]
  const shop = { release: [], running: [catalog, orders, shipping, edge] }
  const files = new Map(render(shop, await readVariables(root, { release: [], running: [] })))
  const policyOf = (name: string) =>
    parseAllDocuments(files.get(`infra/deploy/kubernetes/base/${name}.yaml`)!)
      .map((document) => document.toJS())
      .find(({ kind }) => kind === 'NetworkPolicy').spec
  const callersOf = (name: string) =>
    policyOf(name).ingress[0].from.filter((one: object) => 'podSelector' in one)
  expect(callersOf('catalog')).toEqual(pods(['shipping', 'web']))
  expect(callersOf('orders')).toEqual(pods(['web']))
  expect(callersOf('shipping')).toEqual([])
  expect(policyOf('shipping').egress[0].to[0].podSelector.matchExpressions[0].values).toEqual(['catalog'])
  expect(policyOf('orders').egress).toBeUndefined()
  expect(files.get('infra/deploy/kubernetes/base/shipping.yaml')).toContain(
    '/api/catalog=http://catalog:3000',
  )
  expect(files.get('infra/deploy/kubernetes/base/orders.yaml')).not.toContain('UPSTREAMS')
})

test('temporary files of a process type that declares scratchMiB are on a disk, and not in its memory', () => {
  for (const [name, sizeLimit] of [
    ['parser', '300Mi'],
    ['orders', '64Mi'],
  ]) {
    const [{ spec }] = parseAllDocuments(fileOf(name!)).map(
      (document) => document.toJS() as { spec: { template: { spec: { volumes: unknown } } } },
    ) as [{ spec: { template: { spec: { volumes: unknown } } } }]
    expect(spec.template.spec.volumes).toEqual([{ name: 'tmp', emptyDir: { sizeLimit } }])
  }
})

const kept = (key: string): object => ({ name: key, valueFrom: { secretKeyRef: { name: 'orders', key } } })

test('a secret is taken from the Secret of the app, and an overlay is asked for what has no default', async () => {
  await using house = await openHouse()
  const { files } = house
  const [deployment] = parseAllDocuments(files.get('infra/deploy/kubernetes/base/orders.yaml')!).map((one) =>
    one.toJS(),
  )
  const [{ env, envFrom }] = deployment.spec.template.spec.containers
  expect(env).toEqual(expect.arrayContaining([kept('PAYMENTS_KEY'), kept('PAYMENTS_WEBHOOK_KEY')]))
  expect(envFrom).toEqual([{ configMapRef: { name: 'nonstick' } }, { configMapRef: { name: 'orders' } }])
  const { configMapGenerator } = parse(files.get('infra/deploy/kubernetes/base/kustomization.yaml')!)
  expect(configMapGenerator).toContainEqual({ name: 'orders', literals: ['PAYMENTS_HOST='] })
  expect(files.get('infra/deploy/kubernetes/base/web.yaml')).not.toContain('PAYMENTS')
})

test('the file of a process type that is gone must be removed', async () => {
  const running = formation.running.filter(({ name }) => name !== 'accounts')
  const drifted = await findDrift(root, { ...formation, running })
  expect(drifted.find(({ what }) => what === 'infra/deploy/kubernetes/base/accounts.yaml')).toMatchObject({
    how: 'its process type is gone',
    mend: 'pnpm infra',
    wanted: null,
  })
})
