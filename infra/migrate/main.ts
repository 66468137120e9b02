import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { amendMigration } from '@repo/database/amend-migration'
import {
  migrate,
  MigrationError,
  readMigrationStatus,
  resetDatabase,
  settleMigration,
} from '@repo/database/migrate'
import { writeMigration } from '@repo/database/write-migration'
import { migrateQueue } from '@repo/queue'
import { startPostgres } from '@repo/testing'
import { findDatabase, noDatabase } from '../find-database.ts'
import { CONFIRM, findUnsafeMigrations } from '../migrations/find-unsafe-migrations.ts'
import { assertSure, renamesBy } from './ask.ts'
import { whereReleased } from './was-released.ts'

const help = `pnpm migrate [new <name> [--empty] | amend | reset | undone <name> | done <name> | --status]

  pnpm migrate               applies what the database does not have yet, as the release process does
  pnpm migrate new <name>    writes the migration from the last one to packages/database/schema/*.prisma, to read,
                             correct and commit; --empty writes one to fill by hand. Applies nothing. Asks what was
                             renamed; for a script: --rename orders.title=name, or --drop
  pnpm migrate amend         once the schema or the file has changed again: takes the newest migration back and writes
                             it anew. For what was never released, on a database of this machine
  pnpm migrate reset         empties the tables of a database of this machine, and applies all from the first
  pnpm migrate --status      what is applied and what is not; exits with 1 when they differ

"amend" and "reset" ask before they drop; --yes is the answer of a script. The database is
DATABASE_URL, else the one of pnpm dev while that runs. "new" changes none: it tries the migrations on a scratch
database there, or on a server of its own when there is none.

When a release was killed in the middle of a migration, "undone" says that nothing of it remains, so that it is applied
again, and "done" that all of it is there. (One that fails by itself needs neither: it leaves nothing behind.)
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
const [word, name, ...rest] = positionals
const root = fileURLToPath(new URL('../..', import.meta.url))
const choose = renamesBy({ rename: options.rename, isDrop: options.drop })

try {
  await run()
} catch (error) {
  if (!(error instanceof MigrationError)) throw error
  console.error(error.message)
  process.exitCode = 1
}
// The engine never clears the timer of its own lock, which would keep us waiting for ten seconds.
process.exit()

async function run(): Promise<void> {
  if (options.help) return console.log(help)
  const isNaming = ['new', 'undone', 'done'].includes(word ?? '')
  const isAsked = isNaming || word === undefined || ['amend', 'reset'].includes(word)
  if (!isAsked || isNaming !== Boolean(name) || rest.length > 0)
    throw new MigrationError(`That is not a command.\n\n${help}`)
  if (word === 'new') return await writeNew(name!)

  const url = await findDatabase()
  if (!url) throw new MigrationError(noDatabase)
  if (word === 'amend') {
    await amend(url)
  } else if (word === 'reset') {
    assertOfThisMachine(url)
    await assertSure(options.yes, `All rows of ${new URL(url).host}${new URL(url).pathname} go.`)
    const applied = await resetDatabase(url, { log: console.log })
    await migrateQueue(url)
    console.log(`The database is new: ${applied.length} migrations were applied.`)
  } else if (word === 'undone' || word === 'done') {
    await settleMigration(url, name!, word)
    console.log(
      word === 'done' ? `${name} counts as applied.` : `${name} will be applied again: pnpm migrate`,
    )
  } else if (options.status) {
    await printStatus(url)
  } else {
    const applied = await migrate(url, { log: console.log })
    await migrateQueue(url)
    for (const name of applied) console.log(`applied ${name}`)
    if (applied.length === 0) console.log('Nothing to apply: the database has every migration.')
  }
}

async function writeNew(title: string): Promise<void> {
  const url = await findDatabase()
  await using own = url ? undefined : await startPostgres()
  const file = await writeMigration(url ?? own!.url, title, { isEmpty: options.empty, choose })
  sayWhatIsWritten(file)
}

async function amend(url: string): Promise<void> {
  assertOfThisMachine(url)
  const newest = (await readMigrationStatus(url)).newest
  const place = newest && (await whereReleased(root, join('packages/database/migrations', newest)))
  if (place)
    throw new MigrationError(
      `${newest} is in ${place}: it was released. Write the next one: pnpm migrate new`,
    )
  const { name, file, undone } = await amendMigration(url, {
    choose,
    async confirm(undo) {
      if (/\bDROP\b/.test(undo)) await assertSure(options.yes, `To take ${newest} back is:\n${undo.trim()}\n`)
    },
  })
  if (undone !== undefined) console.log(`took ${name} back`)
  if (file) sayWhatIsWritten(file)
  else console.log(`removed ${name}: the schema does not ask for it any more`)
}

function sayWhatIsWritten(file: string): void {
  console.log(`wrote ${relative(process.cwd(), file)}`)
  const unsafe = findUnsafeMigrations(root).find(({ path }) => join(root, path) === file)
  if (unsafe) console.log(`${unsafe.words}\n${CONFIRM}\nUntil then pnpm dev does not apply it.`)
  else console.log('Read it. pnpm dev applies it when it runs; else: pnpm migrate')
}

/** What loses rows is for development only. */
function assertOfThisMachine(url: string): void {
  const { hostname } = new URL(url)
  if (['localhost', '127.0.0.1', '[::1]', ''].includes(hostname)) return
  throw new MigrationError(`The database is on ${hostname}. This is for one of this machine.`)
}

async function printStatus(url: string): Promise<void> {
  const { applied, pending, interrupted, edited, unknown } = await readMigrationStatus(url)
  const lines = [
    ...applied.map(
      (name) => `applied      ${name}${edited.includes(name) ? '  (and edited since then)' : ''}`,
    ),
    ...pending.map((name) => `to apply     ${name}`),
    ...interrupted.map((name) => `interrupted  ${name}`),
    ...unknown.map((name) => `applied      ${name}  (by another release: it is not in this one)`),
  ]
  console.log(lines.join('\n'))
  if (pending.length > 0 || interrupted.length > 0) process.exitCode = 1
}
