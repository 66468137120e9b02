import { loadEnv } from '@repo/config'
import { createService, runService, serviceEnv } from '@repo/service'
import { openSessionStore, session, sessionEnv } from '@repo/session'
import { Type } from 'typebox'
import { anyPartRoutes } from './routes/any-part.ts'
import { ownPartRoutes } from './routes/own-part.ts'

// A service to try the parts in: routes that `pnpm new route` copies into others. The job of `pnpm new job` is the worker's.
const env = loadEnv(Type.Object({ ...serviceEnv, ...sessionEnv }), process.env)
const store = await openSessionStore(env.SESSION_STORE_URL)
const app = createService({ name: 'any-name', env })
app.addHook('onClose', () => store[Symbol.asyncDispose]())
await app.register(session, { store, secrets: env.SESSION_SECRETS, origin: env.PUBLIC_ORIGIN })
await app.register(anyPartRoutes, { prefix: '/api/any-name/any-part' })
await app.register(ownPartRoutes, { prefix: '/api/any-name/own-part' })

await runService(app, env)
