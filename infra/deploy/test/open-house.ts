import { cp, mkdir, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { processTypeOf, type Formation } from '../../formation.ts'
import { render } from '../render.ts'
import { readVariables, type VariablesOf } from '../variables.ts'

/** A repository with two services, for tests. */
export interface House extends AsyncDisposable {
  root: string
  formation: Formation
  variables: VariablesOf
  /** The rendered files: text by path. */
  files: Map<string, string>
}

const text = (more: object): object => ({ type: 'string', description: 'Of the payment provider', ...more })
const orders = {
  PAYMENTS_KEY: text({ secret: true, inDevelopment: 'sk_test_none' }),
  PAYMENTS_HOST: text({}),
  PAYMENTS_WEBHOOK_KEY: text({ secret: true }),
  PAYMENTS_LOG: text({ default: 'quiet' }),
}

/** The edge, and a service `orders` with variables of its own, which no other file mentions. */
export async function openHouse(): Promise<House> {
  const folder = await openTemporaryFolder('house')
  const root = folder.path
  await mkdir(join(root, 'apps/orders/src'), { recursive: true })
  await mkdir(join(root, 'apps/web/src'), { recursive: true })
  const schema = { type: 'object', required: Object.keys(orders), properties: orders }
  await writeFile(join(root, 'apps/orders/src/env.ts'), `export const envSchema = ${JSON.stringify(schema)}`)
  await cp(
    resolve(import.meta.dirname, '../../../apps/web/package.json'),
    join(root, 'apps/web/package.json'),
  )
  const door = processTypeOf('apps/web', 'web', { entry: 'src/server.ts', route: '/' })
  const server = processTypeOf('apps/orders', 'orders', { entry: 'src/server.ts', route: '/api/orders' })
  const formation: Formation = { release: [], running: [server, door] }
  const variables = await readVariables(root, formation)
  const files = await render(root, formation)
  return { root, formation, variables, files, [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose]() }
}
