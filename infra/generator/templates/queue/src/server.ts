import { loadEnv } from '@repo/config'
import { runService } from '@repo/service'
import { buildApp } from './app.ts'
import { envSchema } from './env.ts'
import { openResources } from './resources.ts'

const env = loadEnv(envSchema, process.env)
const resources = await openResources(env)
const app = await buildApp(env, resources)

// Fastify runs onClose after the last request is answered, so that request still has its stores.
app.addHook('onClose', () => resources[Symbol.asyncDispose]())

await runService(app, env)
