import { Client } from 'pg'

/**
 * The rows of one statement, asked for on a connection of its own.
 *
 * @param url the database, and as whom
 * @throws the driver's error, with the code of Postgres: https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export async function query<Row = Record<string, unknown>>(url: string, sql: string): Promise<Row[]> {
  const client = new Client({ connectionString: url })
  await client.connect()
  try {
    return (await client.query(sql)).rows as Row[]
  } finally {
    await client.end()
  }
}
