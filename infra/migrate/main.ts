import { readdirSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { amendMigration } from '@repo/database/amend-migration'
import { listAppTables, type AppTables } from '@repo/database/app-tables'
import { MigrationError, readMigrationStatus, settleMigration } from '@repo/database/migrate'
import { draftMigration, writeMigration } from '@repo/database/write-migration'
import { startPostgres } from '@repo/testing'
import { Client } from 'pg'
import { findAppDatabase, findDatabase, noDatabase } from '../databases.ts'
import { CONFIRM, findUnsafeMigrations } from './find-unsafe-migrations.ts'
import { assertSure, renamesBy } from './ask.ts'
import { dropTables, runRelease, whereReleased } from './release.ts'

const help = `pnpm migrate [new [app] <name> | amend <app> | reset [app] | undone <name> | done <name> | --status]

  pnpm migrate                    applies pending migrations: runs the release process
  pnpm migrate new [app] <name>   writes the migration from the last one to apps/<app>/schema.prisma, to read, correct
                                  and commit; --empty writes one to fill by hand. Applies nothing. Asks what was
                                  renamed; in a script: --rename orders.title=name, or --drop
  pnpm migrate amend <app>        after another change of the schema or the file: undoes the newest migration and
                                  writes it again. Only if it was never released, in a database of this machine
  pnpm migrate reset [app]        empties the tables of an app, or of all, and applies all migrations from the first
  pnpm migrate --status           prints what is applied and what is not; exits with 1 when something is not

"amend" and "reset" ask before they drop; in a script: --yes. The server is DATABASE_URL, with a role that may create
roles, else the server of a running pnpm dev. For an app with DATABASE_URL_<APP> it is that URL. "new" changes no
database: it tries the migrations on a scratch database there, or on a server of its own when there is none.

When a release was killed in the middle of a migration, "undone" says that nothing of it remains, so that it is applied
again, and "done" says that all of it is there. (One that fails by itself needs neither: it leaves nothing behind.)
`

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    status: { type: 'boolean', default: false },
    empty: { type: 'boolean', default: false },
    rename: { type: 'string', multiple: true, default: [] },
    drop: { type: 'boolean', default: false },
    yes: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const [word, ...names] = positionals
const root = fileURLToPath(new URL('../..', import.meta.url))
const apps = listAppTables(join(root, 'apps'))
const choose = renamesBy({ rename: options.rename, isDrop: options.drop })
/** How many names may follow each word. */
const words: Record<string, [least: number, most: number]> = {
  new: [1, 2],
  amend: [1, 1],
  reset: [0, 1],
  undone: [1, 1],
  done: [1, 1],
}

try {
  await run()
} catch (error) {
  if (!(error instanceof MigrationError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
// Prisma's engine never clears the timer of its lock, which would keep this process alive for ten seconds.
process.exit()

async function run(): Promise<void> {
  if (options.help) return console.log(help)
  const [least, most] = words[word ?? ''] ?? [0, 0]
  const isKnown = word === undefined || word in words
  if (!isKnown || names.length < least || names.length > most)
    throw new MigrationError(`That is not a command.\n\n${help}`)
  if (word === 'new') return await writeNew()
  if (word === 'amend') return await amend(appOf(names[0]!))
  if (word === 'reset') return await reset()
  if (word === 'undone' || word === 'done') return await settle(names[0]!, word)
  if (options.status) return await printStatus()
  process.exitCode = await runRelease(root, await serverUrl())
}

function appOf(name: string): AppTables {
  const found = apps.find(({ app }) => app === name)
  if (found) return found
  const known = apps.map(({ app }) => app).join(', ') || 'none'
  throw new MigrationError(`There is no app with tables named ${name}. There are: ${known}.`)
}

async function serverUrl(): Promise<string> {
  const url = await findDatabase()
  if (!url) throw new MigrationError(noDatabase)
  return url
}

async function databaseOf({ app }: AppTables): Promise<string> {
  const url = await findAppDatabase(app)
  if (!url) throw new MigrationError(noDatabase)
  return url
}

async function writeNew(): Promise<void> {
  const url = await findDatabase()
  await using own = url ? undefined : await startPostgres()
  const admin = url ?? own!.url
  const [title, app] = names.toReversed()
  const tables = app === undefined ? await findChanged(admin) : appOf(app)
  sayWhatIsWritten(await writeMigration(admin, tables, title!, { isEmpty: options.empty, choose }))
}

/** The app whose schema differs from its migrations. @throws {MigrationError} unless there is exactly one */
async function findChanged(admin: string): Promise<AppTables> {
  const changed: AppTables[] = []
  for (const tables of apps) if ((await draftMigration(admin, tables)) !== null) changed.push(tables)
  if (changed.length === 1 && !options.empty) return changed[0]!
  if (changed.length === 0 && !options.empty)
    throw new MigrationError(
      'The migrations already say all that the schemas say: there is nothing to write.',
    )
  const candidates = (options.empty ? apps : changed).map(({ app }) => app)
  throw new MigrationError(`Of which app? pnpm migrate new <app> ${names[0]}: ${candidates.join(', ')}`)
}

async function amend(tables: AppTables): Promise<void> {
  const url = await databaseOf(tables)
  assertOfThisMachine(url)
  const newest = (await readMigrationStatus(url, tables)).newest
  const place = newest && (await whereReleased(root, relative(root, join(tables.migrations, newest))))
  if (place)
    throw new MigrationError(
      `${newest} is in ${place}: it was released. Write the next one: pnpm migrate new ${tables.app}`,
    )
  const { name, file, undone } = await amendMigration(url, tables, {
    admin: await serverUrl(),
    choose,
    async confirm(undo) {
      if (/\bDROP\b/.test(undo)) await assertSure(options.yes, `To take ${newest} back is:\n${undo.trim()}\n`)
    },
  })
  if (undone !== undefined) console.log(`took ${name} back`)
  if (file) sayWhatIsWritten(file)
  else console.log(`removed ${name}: the schema does not ask for it any more`)
}

async function reset(): Promise<void> {
  const server = await serverUrl()
  assertOfThisMachine(server)
  const which = names[0] === undefined ? apps : [appOf(names[0])]
  const whose = which.map(({ app }) => app).join(', ')
  await assertSure(options.yes, `All rows of ${whose} in ${new URL(server).host} go.`)
  for (const { schema } of which) await dropTables(server, schema)
  process.exitCode = await runRelease(root, server)
  if (process.exitCode === 0) console.log(`The tables of ${whose} are new.`)
}

async function settle(name: string, outcome: 'undone' | 'done'): Promise<void> {
  const tables = apps.find(({ migrations }) => listFolders(migrations).includes(name))
  if (!tables) throw new MigrationError(`No app has a migration ${name}.`)
  await settleMigration(await databaseOf(tables), tables, name, outcome)
  console.log(
    outcome === 'done' ? `${name} counts as applied.` : `${name} will be applied again: pnpm migrate`,
  )
}

function sayWhatIsWritten(file: string): void {
  console.log(`wrote ${relative(process.cwd(), file)}`)
  const unsafe = findUnsafeMigrations(root).find(({ path }) => join(root, path) === file)
  if (unsafe) console.log(`${unsafe.words}\n${CONFIRM}\nUntil then pnpm dev does not apply it.`)
  else console.log('Read it. pnpm dev applies it when it runs; else: pnpm migrate')
}

/** What loses rows is for development only. @throws {MigrationError} when the database is on another machine */
function assertOfThisMachine(url: string): void {
  const { hostname } = new URL(url)
  if (['localhost', '127.0.0.1', '[::1]', ''].includes(hostname)) return
  throw new MigrationError(`The database is on ${hostname}. This is for one of this machine.`)
}

async function printStatus(): Promise<void> {
  for (const tables of apps) {
    const { applied, pending, interrupted, edited, unknown } = await readStatus(tables)
    const lines = [
      ...applied.map((name) => ['applied', name, edited.includes(name) ? 'and edited since then' : '']),
      ...pending.map((name) => ['to apply', name, '']),
      ...interrupted.map((name) => ['interrupted', name, '']),
      ...unknown.map((name) => ['applied', name, 'by another release: it is not in this one']),
    ]
    for (const [state, name, note] of lines)
      console.log(`${state!.padEnd(11)}  ${tables.app}/${name}${note && `  (${note})`}`)
    if (pending.length > 0 || interrupted.length > 0) process.exitCode = 1
  }
}

/** Nothing is applied while the release has not made the app's role yet. */
async function readStatus(tables: AppTables): ReturnType<typeof readMigrationStatus> {
  const url = await databaseOf(tables)
  if (await canLogIn(url)) return await readMigrationStatus(url, tables)
  const pending = listFolders(tables.migrations)
  return { applied: [], pending, interrupted: [], edited: [], unknown: [], newest: pending.at(-1) }
}

async function canLogIn(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 10_000 })
  try {
    await client.connect()
    return true
  } catch (error) {
    const { code, message } = error as { code?: string; message: string }
    // Postgres gives no other code for a missing role: https://www.postgresql.org/docs/current/errcodes-appendix.html
    if (code?.startsWith('28')) return false
    throw new MigrationError(`The database cannot be reached: ${message}`, { cause: error })
  } finally {
    await client.end().catch(() => {})
  }
}

function listFolders(folder: string): string[] {
  try {
    const entries = readdirSync(folder, { withFileTypes: true })
    return entries.flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])).sort()
  } catch {
    return []
  }
}
