import { once } from 'node:events'
import { mkdir, rm } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join, relative } from 'node:path'
import { text } from 'node:stream/consumers'

/**
 * Makes sure that one `pnpm dev` runs in this clone. The claim is a Unix socket, which the kernel lets go of however
 * we die; whoever asks it is told who holds the claim.
 *
 * @throws when another one runs, with what it says of itself
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

/** Where the `pnpm dev` of this clone answers; undefined when none runs. */
export async function findDevelopment(root: string): Promise<string | undefined> {
  return (await askHolder(socketIn(root)))?.split(' ')[0]
}

/** A socket's path may hold about a hundred characters, so it is told from where we stand. */
function socketIn(root: string): string {
  return relative(process.cwd(), join(root, '.dev/claim')) || '.dev/claim'
}

/** Undefined when nobody holds the claim, or only the file is left of one who did. */
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
