import { relative } from 'node:path'
import { parseArgs } from 'node:util'
import { migrate, MigrationError, readMigrationStatus, settleMigration } from '@repo/database/migrate'
import { writeMigration } from '@repo/database/write-migration'
import { migrateQueue } from '@repo/queue'
import { startPostgres } from '@repo/testing'
import { findDatabase, noDatabase } from '../find-database.ts'

const help = `pnpm migrate [new <name> [--empty] | undone <name> | done <name> | --status]

  pnpm migrate               applies what the database does not have yet, as the release process does
  pnpm migrate new <name>    writes the migration from the last one to packages/database/schema/*.prisma, to read,
                             correct and commit; --empty writes one to fill by hand. Applies nothing.
  pnpm migrate --status      what is applied and what is not; exits with 1 when they differ

The database is DATABASE_URL, else the one of pnpm dev while that runs. "new" changes none: it tries the migrations on a
scratch database there, or on a server of its own when there is none.

When a release was killed in the middle of a migration, "undone" says that nothing of it remains, so that it is applied
again, and "done" that all of it is there. (One that fails by itself needs neither: it leaves nothing behind.)
`

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    status: { type: 'boolean', default: false },
    empty: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})
const [word, name, ...rest] = positionals

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
  const isAsked = word === undefined || ['new', 'undone', 'done'].includes(word)
  if (!isAsked || (word && !name) || rest.length > 0)
    throw new MigrationError(`That is not a command.\n\n${help}`)
  if (word === 'new') return await writeNew(name!)

  const url = await findDatabase()
  if (!url) throw new MigrationError(noDatabase)
  if (word === 'undone' || word === 'done') {
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
  const file = await writeMigration(url ?? own!.url, title, { isEmpty: options.empty })
  console.log(`wrote ${relative(process.cwd(), file)}\nRead it, then: pnpm migrate`)
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
