import { createServer } from 'node:http'

/** The smallest app that keeps the promises a fleet relies on. It counts in its process, which no real one may. */
let count = 0

const server = createServer((request, response) => {
  if (request.url === '/crash') process.exit(3)
  const name = process.env.PROCESS_NAME
  response.setHeader('set-cookie', ['__Host-a=1; Path=/; Secure', '__Host-broken=1', 'gone=; Max-Age=0'])
  response.end(
    JSON.stringify({ name, count: ++count, pid: process.pid, headers: request.headers, env: process.env }),
  )
})

server.listen(Number(process.env.PORT), process.env.HOST)
process.on('SIGTERM', () => server.close(() => process.exit(0)).closeAllConnections())
