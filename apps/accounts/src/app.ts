import { limits } from '@repo/limits'
import { createService, type Service } from '@repo/service'
import { session } from '@repo/session'
import type { Accounts } from './domain/accounts.ts'
import { createDeviceCookie } from './domain/device-cookie.ts'
import type { Env } from './env.ts'
import { mailLink, mailOwner } from './jobs/send-mail.ts'
import type { Resources } from './resources.ts'
import { accountRoutes } from './routes/accounts.ts'
import { adminRoutes } from './routes/admin.ts'
import { mailedLinkRoutes } from './routes/mailed-links.ts'
import { noteOrigins } from './routes/origin.ts'
import { ownAccountRoutes } from './routes/own-account.ts'
import { proofRoutes } from './routes/proof.ts'
import { sessionRoutes } from './routes/sessions.ts'

/** All parts of the accounts service, in order. Read this file first. */
export async function buildApp(env: Env, { database, sessions, passwords }: Resources): Promise<Service> {
  const devices = createDeviceCookie({ secrets: env.SESSION_SECRETS, origin: env.PUBLIC_ORIGIN })
  const app = createService({ name: 'accounts', env, checks: { database, sessions } })

  await app.register(session, {
    store: sessions,
    secrets: env.SESSION_SECRETS,
    origin: env.PUBLIC_ORIGIN,
    idleMs: env.SESSION_IDLE_MS,
    absoluteMs: env.SESSION_ABSOLUTE_MS,
    maxPerUser: env.SESSION_MAX_PER_USER,
  })
  noteOrigins(app)
  await app.register(limits, { store: sessions.connection })
  const { host } = new URL(env.PUBLIC_ORIGIN)
  const accounts: Accounts = { database, passwords, devices, host, listeners: [] }
  await app.register(accountRoutes, { prefix: '/api/accounts', accounts })
  await app.register(ownAccountRoutes, { prefix: '/api/accounts', accounts })
  await app.register(proofRoutes, { prefix: '/api/accounts', accounts })
  await app.register(sessionRoutes, { prefix: '/api/accounts', database })
  await app.register(adminRoutes, { prefix: '/api/accounts/admin', database })
  // keep: mail
  accounts.listeners.push(mailOwner)
  await app.register(mailedLinkRoutes, { prefix: '/api/accounts', accounts: { ...accounts, mailLink } })
  // /keep

  return app
}
