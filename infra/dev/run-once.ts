import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join, resolve } from 'node:path'
import { databaseEnvironment } from '../databases.ts'
import { forgetPostgresVariables, loadDotEnv } from '../environment.ts'
import { readFormation } from '../formation.ts'
import { readOpened } from './backing-services.ts'

// Runs a one-off process of an app: `node infra/dev/run-once.ts apps/orders/src/command.ts <arguments>`. It gets the
// environment of the app's first process type: variables of the shell and of `.env`, else those of the last `pnpm dev`.

/** `EX_CONFIG`, with which a process ends that lacks a variable. It has said which. */
const EX_CONFIG = 78

const [entry = '', ...args] = process.argv.slice(2)
const root = resolve(import.meta.dirname, '../..')
loadDotEnv(root)
forgetPostgresVariables()

const formation = readFormation(root)
const type = formation.running.find(({ app }) => entry.startsWith(`${app}/`))
if (!type) throw new Error(`${entry} is in no app that has a process type.`)
const opened = await readOpened(root)
const admin = process.env.DATABASE_URL || opened?.admin
const env = {
  PORT: '0',
  PUBLIC_ORIGIN: 'http://localhost',
  // The sessions of another database are other people's.
  ...(opened?.admin === admin && opened?.session),
  ...process.env,
  NODE_ENV: 'development',
  HOST: '127.0.0.1',
  ...(admin && databaseEnvironment(formation, admin, '', process.env)(type)),
}
const child = spawn(process.execPath, [join(root, entry), ...args], { env, stdio: 'inherit' })
const [code] = (await once(child, 'exit')) as [number | null]
if (code === EX_CONFIG) console.error('Set these variables, or start those of this clone: pnpm dev')
process.exitCode = code ?? 1
