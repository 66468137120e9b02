import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { filters, MigrationError, ownFolders, withMigrations } from './open-migrations.ts'

/**
 * Writes the migration that leads from the migrations to the schema, and does not apply it. It needs a server, on
 * which it makes and removes a scratch database. Resolves to the path of the new file.
 *
 * @throws {MigrationError} when there is nothing to write
 */
export async function writeMigration(
  url: string,
  title: string,
  { folders = ownFolders, isEmpty = false } = {},
): Promise<string> {
  if (!/^[a-z][a-z0-9_]{0,59}$/.test(title)) {
    throw new MigrationError(
      `"${title}" cannot name a migration: small letters, digits and _ can, as add_folders.`,
    )
  }
  const sql = isEmpty ? '-- Write here what the schema cannot say.\n' : await draftMigration(url, folders)
  if (sql === null) {
    throw new MigrationError(
      'The migrations already say all that the schema says: there is nothing to write.',
    )
  }
  const timestamp = new Date().toISOString().replace(/\D/g, '').slice(0, 14)
  const folder = join(folders.migrations, `${timestamp}_${title}`)
  await mkdir(folder)
  await writeFile(join(folder, 'migration.sql'), sql)
  return join(folder, 'migration.sql')
}

/** The SQL that leads from the migrations to the schema; null when they agree. */
export async function draftMigration(url: string, folders = ownFolders): Promise<string | null> {
  return await withMigrations(url, folders, async ({ engine, list, schema: files }) => {
    const { exitCode, stdout } = await engine.diff({
      from: { tag: 'migrations', ...list },
      to: { tag: 'schemaDatamodel', files },
      script: true,
      exitCode: true,
      filters,
    })
    return exitCode === 0 ? null : stdout
  })
}
