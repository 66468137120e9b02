import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { delimiter, dirname, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { listAppTables, urlVariableOf } from '@repo/database/app-tables'
import { shareUrl } from '@repo/database/shares'
import { findProgram, needs, programs } from '@repo/testing/programs'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { query } from '@repo/testing/create-database'
import { startPostgres } from '@repo/testing/start-postgres'
import { expect, test } from 'vitest'
import { runCommand } from '../test/run-command.ts'

const root = resolve(import.meta.dirname, '../..')
const apps = listAppTables(join(root, 'apps'))

test(
  'what docs/operations.md says of backup and restore keeps what each app has, in another database too',
  { ...needs('pgDump'), timeout: 120_000 },
  async () => {
    await using resources = new AsyncDisposableStack()
    const tools = dirname(findProgram(...programs.pgDump.names)!)
    const server = resources.use(await startPostgres({ programs: tools }))
    const folder = resources.use(await openTemporaryFolder('backup')).path
    const text = await readFile(join(root, 'docs/operations.md'), 'utf8')
    const [backup, restore] = ['backup', 'restore'].map(
      (name) => new RegExp(`<!-- ${name}\\b[^]*?\`\`\`sh\\n([^]*?)\`\`\``).exec(text)![1]!,
    )
    const [before, after] = ['before', 'after'].map(
      (name) => Object.assign(new URL(server.url), { pathname: `/${name}` }).href,
    )

    await release(before!)
    for (const { app } of apps) {
      const url = shareUrl(before!, app)
      await query(url, `CREATE TABLE kept (app text); INSERT INTO kept VALUES ('${app}')`)
    }
    await runShell(backup!, before!)
    await release(after!)
    // The document has the commands for accounts. They are run for each app.
    for (const { schema } of apps) {
      const words = restore!.replaceAll('ACCOUNTS', schema.toUpperCase()).replaceAll('accounts', schema)
      await runShell(words, after!)
    }
    for (const { app } of apps) {
      const url = shareUrl(after!, app)
      expect(await query(url, 'SELECT app FROM kept')).toEqual([{ app }])
      const owners = `SELECT DISTINCT tableowner AS owner FROM pg_tables WHERE schemaname = current_schema()`
      expect(await query(url, owners)).toEqual([{ owner: new URL(url).username }])
    }
    const status = await runCommand(join(import.meta.dirname, 'main.ts'), ['--status'], {
      DATABASE_URL: after,
    })
    expect(status).toMatchObject({ code: 0 })

    async function runShell(words: string, admin: string): Promise<void> {
      const urls = apps.map(({ app }) => [urlVariableOf(app), shareUrl(admin, app)])
      const path = [tools, join(root, 'node_modules/.bin'), process.env.PATH].join(delimiter)
      const env = {
        ...process.env,
        DATABASE_URL: admin,
        ADMIN_DATABASE_URL: admin,
        ...Object.fromEntries(urls),
        PATH: path,
      }
      const commands = words.replace('pnpm migrate', `node ${join(import.meta.dirname, 'main.ts')}`)
      await promisify(execFile)('/bin/sh', ['-ec', commands], { cwd: folder, env })
    }
  },
)

async function release(url: string): Promise<void> {
  const ended = await runCommand(join(import.meta.dirname, 'main.ts'), [], { DATABASE_URL: url })
  expect(ended, ended.err).toMatchObject({ code: 0 })
}
