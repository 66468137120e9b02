import { resolve } from 'node:path'
import { expect, test } from 'vitest'
import { processTypeOf, readFormation, type Formation } from '../../formation.ts'
import { renderProcfile } from './render.ts'

const root = resolve(import.meta.dirname, '../../..')
const formation = readFormation(root)
const orders = processTypeOf('apps/orders', 'orders', { entry: 'src/server.ts', route: '/api/orders' })
const withOrders: Formation = { ...formation, running: [...formation.running, orders] }

test('a process type is a line', () => {
  expect(renderProcfile(withOrders)).toContain(
    '\norders: node --enable-source-maps --max-old-space-size=128 --max-semi-space-size=2 apps/orders/dist/server.js\n',
  )
})

test('the Procfile releases first, and what comes from outside reaches the edge', () => {
  const lines = renderProcfile(formation)
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
  const services = formation.running.map(({ name }) => name).filter((name) => name !== 'web')
  expect(lines.map((line) => line.split(':')[0])).toEqual(['release', 'web', ...services])
})

// Without `exec` the shell gets the signal: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#exec
test('in the Procfile the process replaces the shell', () => {
  const lines = renderProcfile(formation).split('\n')
  for (const line of lines.filter((each) => each.includes('$'))) expect(line).toMatch(/^[\w-]+: exec env /)
})
