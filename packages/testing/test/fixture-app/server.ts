import { readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** The smallest app that a fleet can run. It counts in its own memory, which a real app must not do. */
let count = 0

const server = createServer((request, response) => {
  if (request.url === '/crash') process.exit(3)
  if (request.url === '/leave') writeFileSync(join(tmpdir(), 'left'), 'for the next request')
  if (request.url === '/left') return response.end(JSON.stringify(readdirSync(tmpdir())))
  if (request.url === '/keep') return response.end(tryToKeep())
  const name = process.env.PROCESS_NAME
  response.setHeader('set-cookie', ['__Host-a=1; Path=/; Secure', '__Host-broken=1', 'gone=; Max-Age=0'])
  response.end(
    JSON.stringify({ name, count: ++count, pid: process.pid, headers: request.headers, env: process.env }),
  )
})

function tryToKeep(): string {
  try {
    writeFileSync(join(import.meta.dirname, 'kept'), 'for the next request')
    return 'kept'
  } catch (error) {
    return (error as NodeJS.ErrnoException).code!
  }
}

server.listen(Number(process.env.PORT), process.env.HOST)
process.on('SIGTERM', () => server.close(() => process.exit(0)).closeAllConnections())
