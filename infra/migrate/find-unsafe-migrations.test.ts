import { describe, expect, test } from 'vitest'
import { findUnsafeStatements } from './find-unsafe-migrations.ts'

describe('a migration is unsafe beside the release before when it', () => {
  test.each([
    ['drops a table', 'DROP TABLE "orders";'],
    ['drops a column', 'ALTER TABLE "orders" DROP COLUMN "note";'],
    ['drops a column without the word', 'ALTER TABLE orders DROP note;'],
    ['renames a column', 'ALTER TABLE "orders" RENAME COLUMN "note" TO "text";'],
    ['renames a table', 'ALTER TABLE "orders" RENAME TO "links";'],
    ['renames a value', `ALTER TYPE "Status" RENAME VALUE 'a' TO 'b';`],
    ['adds a column that must not be null', 'ALTER TABLE "orders" ADD COLUMN "note" TEXT NOT NULL;'],
    [
      'fills a new column with a value for each row',
      'ALTER TABLE "orders" ADD COLUMN "key" UUID DEFAULT gen_random_uuid();',
    ],
    ['changes a type', 'ALTER TABLE "orders" ALTER COLUMN "note" SET DATA TYPE VARCHAR(10);'],
    ['forbids null', 'ALTER TABLE "orders" ALTER COLUMN "note" SET NOT NULL;'],
    ['makes an index under a lock', 'CREATE UNIQUE INDEX "a" ON "orders"("note");'],
    ['drops an index under a lock', 'DROP INDEX "a";'],
    ['checks every row', 'ALTER TABLE "orders" ADD CONSTRAINT "a" CHECK (length(note) < 9);'],
    ['checks every reference', 'ALTER TABLE "a" ADD CONSTRAINT "b" FOREIGN KEY ("c") REFERENCES "d"("e");'],
    ['makes a key under a lock', 'ALTER TABLE "a" ADD CONSTRAINT "b" UNIQUE ("c");'],
    ['empties a table', 'TRUNCATE "orders";'],
    ['makes an extension of its own', 'CREATE EXTENSION IF NOT EXISTS pg_trgm;'],
    ['does it in a later line', 'SELECT 1;\n\n-- A comment.\nDROP TABLE "orders"'],
  ])('%s', (_, sql) => {
    const [found, ...others] = findUnsafeStatements(sql)
    expect(found?.line).toBe(
      sql.split('\n').findIndex((line) => /drop|alter|create|truncate/i.test(line)) + 1,
    )
    expect(others).toEqual([])
  })
})

describe('it is safe when it', () => {
  test.each([
    [
      'makes a table, its indices and its references',
      'CREATE TABLE "a" ("b" INT NOT NULL);\nCREATE INDEX "c" ON "a"("b");\nALTER TABLE "a" ADD CONSTRAINT "d" FOREIGN KEY ("b") REFERENCES "e"("f");',
    ],
    ['makes an extension for all', 'CREATE EXTENSION IF NOT EXISTS "pg_trgm" SCHEMA extensions;'],
    ['renames an index', 'ALTER INDEX "a" RENAME TO "b";'],
    ['renames a constraint', 'ALTER TABLE "orders" RENAME CONSTRAINT "a" TO "b";'],
    ['adds a column that may be null', 'ALTER TABLE "orders" ADD COLUMN "note" TEXT;'],
    ['adds a column with a default', 'ALTER TABLE "orders" ADD COLUMN "count" INT NOT NULL DEFAULT 0;'],
    ['makes an index beside those who write', 'CREATE INDEX CONCURRENTLY "a" ON "orders"("note");'],
    ['adds a constraint for what comes', 'ALTER TABLE "a" ADD CONSTRAINT "b" CHECK (c > 0) NOT VALID;'],
    ['says why', '-- safe: since v41 nobody reads it\nALTER TABLE "orders" DROP COLUMN "note";'],
    [
      'only speaks of it',
      `-- DROP TABLE a;\nINSERT INTO "a" VALUES ('DROP TABLE b; it''s'); /* DROP TABLE c; */`,
    ],
    [
      'drops in the body of a function',
      'CREATE FUNCTION f() RETURNS void AS $$ DROP TABLE a; $$ LANGUAGE sql;',
    ],
  ])('%s', (_, sql) => {
    expect(findUnsafeStatements(sql)).toEqual([])
  })
})

test('a migration without a statement is not ready: once applied, it could not be changed', () => {
  expect(findUnsafeStatements('-- Write here what the schema cannot say.\n')).toMatchObject([
    { line: 1, statement: '(no statement)' },
  ])
})
