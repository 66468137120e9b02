import { loadEnv } from '@repo/config'
import { runService } from '@repo/service'
import { buildApp } from './app.ts'
import { envSchema } from './env.ts'

const env = loadEnv(envSchema, process.env)

await runService(await buildApp(env), env)
