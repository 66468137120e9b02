import { randomUUID } from 'node:crypto'
import { parseEnv } from '@repo/config'
import { signIn } from '@repo/session'
import type { Browser, Fleet } from '@repo/testing'
import { buildApp } from '../src/app.ts'
import { envSchema } from '../src/env.ts'
import { openResources } from '../src/resources.ts'

/** A browser in which a user is signed in, without the service that signs users in. */
export async function signedIn(fleet: Fleet, id: string = randomUUID()): Promise<Browser> {
  const env = parseEnv(envSchema, { ...fleet.env, PORT: '0', LOG_LEVEL: 'silent' })
  await using resources = await openResources(env)
  const app = await buildApp(env, resources)
  app.post('/sign-in', { config: { access: 'public' } }, async (request) => {
    await signIn(request, { id })
    return {}
  })
  const { cookies } = await app.inject({ method: 'POST', url: '/sign-in' })
  await app.close()

  const browser = fleet.browser()
  for (const { name, value } of cookies) browser.cookies.set(name, value)
  return browser
}
