import { connect, createServer, type AddressInfo, type Socket } from 'node:net'
import { once } from 'node:events'
import { Client } from 'pg'
import type { BackingServer } from './redis-under-test.ts'
import type { StoreUnderTest } from './stage.ts'

/** Postgres for tests. */
export function openPostgresUnderTest(server: BackingServer): StoreUnderTest {
  async function query<T extends object>(text: string, values: unknown[] = []): Promise<T[]> {
    const client = new Client({
      connectionString: server.url,
      options: '-c default_transaction_read_only=off',
    })
    client.on('error', () => {})
    await client.connect()
    try {
      return (await client.query<T>(text, values)).rows
    } finally {
      await client.end()
    }
  }

  async function doAndUndo(doing: string, undoing: string): Promise<AsyncDisposable> {
    for (const statement of doing.split(';;')) await query(statement)
    return {
      async [Symbol.asyncDispose]() {
        for (const statement of undoing.split(';;')) await query(statement)
      },
    }
  }

  return {
    name: 'Postgres',
    url: server.url,
    cannot: {},
    // Postgres starts a process for each connection. Measured: 626 ms, and 1,250 ms with a guard that retried too late.
    recoveryMs: { thaw: 800, restart: 1000 },
    tickMs: 0,
    dump: () =>
      query(`
        SELECT key, concat(owner, ' ', record) AS value, extract(epoch FROM expires_at - now())::float8 * 1000 AS "leftMs"
        FROM sessions.session WHERE expires_at > now()`),
    keyOf: (idHash) => idHash,
    purge: async (key) => void (await query('DELETE FROM sessions.session WHERE key = $1', [key])),
    corrupt: async (key, value) =>
      void (await query('UPDATE sessions.session SET record = $2 WHERE key = $1', [key, value])),
    counted: () => countThroughProxy(server.url),
    freeze: () => server.freeze(),
    thaw: () => server.thaw(),
    kill: () => server.kill(),
    restart: () => server.restart(),
    // Raises the error of a full disk for every row that is written.
    fillUp: () =>
      doAndUndo(
        `CREATE FUNCTION sessions.full_disk() RETURNS trigger LANGUAGE plpgsql AS $$
           BEGIN RAISE EXCEPTION 'No space left on device' USING ERRCODE = 'disk_full'; END $$;;
         CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON sessions.session
         FOR EACH ROW EXECUTE FUNCTION sessions.full_disk()`,
        `DROP TRIGGER full_disk ON sessions.session;; DROP FUNCTION sessions.full_disk()`,
      ),
    makeReadOnly: () =>
      doAndUndo(
        'ALTER SYSTEM SET default_transaction_read_only = on;; SELECT pg_reload_conf()',
        'ALTER SYSTEM RESET default_transaction_read_only;; SELECT pg_reload_conf()',
      ),
  }
}

/** A proxy that counts requests: `Sync` ends one, `Query` is one. */
async function countThroughProxy(
  url: string,
): Promise<{ url: string; countCommands(): Promise<number> } & AsyncDisposable> {
  const target = new URL(url)
  const proxied = new URL(url)
  const sockets = new Set<Socket>()
  let count = 0

  const proxy = createServer((client) => {
    const server = connect(Number(target.port), target.hostname)
    let pending: Buffer = Buffer.alloc(0)
    let isStarted = false
    for (const socket of [client, server]) {
      sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        client.destroy()
        server.destroy()
      })
    }
    server.pipe(client)
    client.on('data', (chunk: Buffer) => {
      server.write(chunk)
      pending = Buffer.concat([pending, chunk])
      for (;;) {
        // The first message has no type.
        const typeLength = isStarted ? 1 : 0
        if (pending.length < typeLength + 4) return
        const length = typeLength + pending.readInt32BE(typeLength)
        if (pending.length < length) return
        if (isStarted && 'SQ'.includes(String.fromCharCode(pending[0]!))) count += 1
        isStarted = true
        pending = pending.subarray(length)
      }
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  proxied.port = `${(proxy.address() as AddressInfo).port}`

  return {
    url: proxied.href,
    async countCommands() {
      const counted = count
      count = 0
      return counted
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      proxy.close()
    },
  }
}
