import { cp, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { processTypeOf, readFormation, type Formation } from '../formation.ts'
import { makeSecrets } from './make-secrets.ts'
import { render } from './render.ts'
import { readVariables, type VariablesOf } from './variables.ts'

// One service more, with variables of its own, and not a line about them elsewhere.

const text = (more: object): object => ({ type: 'string', description: 'Of the payment provider', ...more })
const orders = {
  PAYMENTS_KEY: text({ secret: true, inDevelopment: 'sk_test_none' }),
  PAYMENTS_HOST: text({}),
  PAYMENTS_WEBHOOK_KEY: text({ secret: true }),
  PAYMENTS_LOG: text({ default: 'quiet' }),
}
const resources = new AsyncDisposableStack()
let root: string
let formation: Formation
let variables: VariablesOf
let files: Map<string, string>

beforeAll(async () => {
  root = resources.use(await openTemporaryFolder('house')).path
  await mkdir(join(root, 'apps/orders/src'), { recursive: true })
  await mkdir(join(root, 'apps/web/src'), { recursive: true })
  const schema = { type: 'object', required: Object.keys(orders), properties: orders }
  await writeFile(join(root, 'apps/orders/src/env.ts'), `export const envSchema = ${JSON.stringify(schema)}`)
  await cp(resolve(import.meta.dirname, '../../apps/web/package.json'), join(root, 'apps/web/package.json'))
  const door = processTypeOf('apps/web', 'web', { entry: 'src/server.ts', route: '/' })
  const server = processTypeOf('apps/orders', 'orders', { entry: 'src/server.ts', route: '/api/orders' })
  const release = readFormation(resolve(import.meta.dirname, '../..')).release.slice(0, 0)
  formation = { release, running: [server, door] }
  variables = await readVariables(root, formation)
  files = await render(root, formation)
})
afterAll(() => resources.disposeAsync())

const kept = (key: string): object => ({ name: key, valueFrom: { secretKeyRef: { name: 'orders', key } } })

test('Kubernetes takes a secret from the Secret of the app, and asks an overlay for what has no default', () => {
  const [deployment] = parseAllDocuments(files.get('infra/kubernetes/base/orders.yaml')!).map((one) =>
    one.toJS(),
  )
  const [{ env, envFrom }] = deployment.spec.template.spec.containers
  expect(env).toEqual(expect.arrayContaining([kept('PAYMENTS_KEY'), kept('PAYMENTS_WEBHOOK_KEY')]))
  expect(envFrom).toEqual([{ configMapRef: { name: 'nonstick' } }, { configMapRef: { name: 'orders' } }])
  const { configMapGenerator } = parse(files.get('infra/kubernetes/base/kustomization.yaml')!)
  expect(configMapGenerator).toContainEqual({ name: 'orders', literals: ['PAYMENTS_HOST='] })
  expect(files.get('infra/kubernetes/base/web.yaml')).not.toContain('PAYMENTS')
})

test('Compose reads a secret from a file, and the rest from the environment', () => {
  const { services, secrets } = parse(files.get('infra/compose.yaml')!, { merge: true })
  expect(services.orders.secrets).toEqual(['orders.env'])
  expect(secrets['orders.env']).toEqual({ file: '../.secrets/orders.env' })
  expect(services.orders.environment).toMatchObject({ PAYMENTS_HOST: '${PAYMENTS_HOST:-}' })
  expect(JSON.stringify(services.web)).not.toContain('PAYMENTS')
})

test('a person is told what to fill in, and what they have filled in stays', async () => {
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

test('.env.example says of each whether it is a secret, and what it is in development', () => {
  expect(files.get('.env.example')).toContain(
    '# Of the payment provider\n# text; secret; in development sk_test_none (orders)\nPAYMENTS_KEY=\n',
  )
  expect(files.get('.env.example')).toContain('#PAYMENTS_LOG=quiet\n')
})
