import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { processTypeOf, readFormation, type Formation } from '../formation.ts'
import { listPlatforms, render } from './render.ts'
import { openHouse } from './test/open-house.ts'
import { readVariables } from './variables.ts'

const root = resolve(import.meta.dirname, '../..')
const formation = readFormation(root)
const orders = processTypeOf('apps/orders', 'orders', { entry: 'src/server.ts', route: '/api/orders' })
const withOrders: Formation = { ...formation, running: [...formation.running, orders] }

const variables = await readVariables(root, formation)

test('one more process type appears in every file that a platform or a person reads', async () => {
  const [before, after] = [await render(root, formation), await render(root, withOrders)]
  expect(after.get('docs/process-types.md')).toMatch(/^\| `orders` .* `\/api\/orders` /m)
  for (const platform of await listPlatforms()) {
    const files = platform.render(withOrders, variables).map(([path]) => path)
    expect(files.map((path) => after.get(path)).join('\n')).toMatch(/\borders\b/)
    expect(files.some((path) => before.get(path) !== after.get(path))).toBe(true)
  }
})

test('no rendered file has a value for a secret', async () => {
  for (const [file, text] of await render(root, formation)) {
    expect(text, file).not.toMatch(/(DATABASE_URL|SESSION_SECRETS|SESSION_STORE_URL)[=:] *['"]?\w+:\/\//)
  }
})

test('.env.example asks for what has no default, and for nothing else', async () => {
  const text = (await render(root, formation)).get('.env.example')!
  for (const [name, ofEach] of Map.groupBy([...variables.values()].flat(), ({ name }) => name)) {
    if (name === 'PROCESS_NAME') continue
    const isRequired = ofEach.some((one) => one.isRequired)
    expect(text).toMatch(isRequired ? new RegExp(`^${name}=$`, 'm') : new RegExp(`^#${name}=`, 'm'))
  }
})

test('.env.example says of each whether it is a secret, and what it is in development', async () => {
  await using house = await openHouse()
  const { files } = house
  expect(files.get('.env.example')).toContain(
    '# Of the payment provider\n# text; secret; in development sk_test_none (orders)\nPAYMENTS_KEY=\n',
  )
  expect(files.get('.env.example')).toContain('#PAYMENTS_LOG=quiet\n')
})
