import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join, relative } from 'node:path'
import { text } from 'node:stream/consumers'

/**
 * Makes sure that only one `pnpm dev` runs in this clone. The lock is a Unix socket: the kernel closes it however the
 * process dies. It answers each connection with `whoWeAre`.
 *
 * @throws when another one runs; the message has its `whoWeAre`
 */
export async function claimClone(root: string, whoWeAre: string): Promise<Disposable> {
  const path = socketIn(root)
  await mkdir(join(root, '.dev'), { recursive: true, mode: 0o700 })

  const other = await askHolder(path)
  if (other !== undefined) throw new Error(`pnpm dev already runs in this clone: ${other}`)
  await rm(path, { force: true })

  const server = createServer((socket) => socket.on('error', () => {}).end(whoWeAre))
  server.listen(path)
  await once(server, 'listening')
  server.unref()
  return { [Symbol.dispose]: () => server.close() }
}

/** The URL of the `pnpm dev` that runs in this clone; undefined when none runs. */
export async function findDevelopment(root: string): Promise<string | undefined> {
  return (await askHolder(socketIn(root)))?.split(' ')[0]
}

/** Relative to the current folder, because the path of a Unix socket may have only about 100 characters. */
function socketIn(root: string): string {
  return relative(process.cwd(), join(root, '.dev/claim')) || '.dev/claim'
}

/** What the running `pnpm dev` answers. Undefined when none runs, also when a dead one left its socket file. */
async function askHolder(path: string): Promise<string | undefined> {
  const socket = connect(path)
  try {
    await once(socket, 'connect')
    return await text(socket)
  } catch {
    return undefined
  } finally {
    socket.destroy()
  }
}
