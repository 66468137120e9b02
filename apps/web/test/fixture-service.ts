import { appendFileSync } from 'node:fs'
import { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadEnv } from '@repo/config'
import { createService, runService, serviceEnv } from '@repo/service'
import { Type } from 'typebox'

// A service as the edge meets them, in a process of its own: it answers below PREFIX, and writes down in DONE_FILE
// each request that changed something.
const env = loadEnv(
  Type.Object({ ...serviceEnv, PREFIX: Type.String(), DONE_FILE: Type.String() }),
  process.env,
)
const app = createService({ name: 'fixture', env })
const config = { access: 'public' } as const

app.register(
  async (scope) => {
    scope.get('/', { config }, async () => ({ prefix: env.PREFIX }))
    scope.all('/headers', { config }, async ({ headers }) => headers)
    scope.get('/hop', { config }, async (_request, reply) => {
      reply.headers({ connection: 'x-secret', 'x-secret': 'of this connection', 'x-kept': 'of this message' })
      return reply.header('set-cookie', ['a=1', 'b=2']).code(207).send({ is: 'fine' })
    })
    scope.get('/nothing', { config }, async (_request, reply) => reply.code(204).send())
    scope.post('/', { config }, async (request) => {
      appendFileSync(env.DONE_FILE, `${(request.body as { id: string }).id}\n`)
      return request.body
    })
    scope.all<{ Querystring: { ms: number } }>(
      '/slow',
      { config, schema: { querystring: Type.Object({ ms: Type.Integer() }) } },
      async (request) => {
        appendFileSync(env.DONE_FILE, `${env.PROCESS_NAME} began\n`)
        request.socket.once('close', () => appendFileSync(env.DONE_FILE, 'connection closed\n'))
        await sleep(request.query.ms)
        return { waitedMs: request.query.ms }
      },
    )
    scope.get<{ Querystring: { mib: number } }>(
      '/stream',
      { config, schema: { querystring: Type.Object({ mib: Type.Integer() }) } },
      async (request, reply) => {
        async function* pieces(): AsyncGenerator<Buffer> {
          for (let sent = 0; sent < request.query.mib; sent++) yield Buffer.alloc(1024 * 1024, 'x')
        }
        const stream = Readable.from(pieces())
        stream.once('close', () => appendFileSync(env.DONE_FILE, 'stream closed\n'))
        return reply.type('application/octet-stream').send(stream)
      },
    )
    // The first process of the service does; any other answers as it should.
    scope.get('/breaks-off', { config }, async (request, reply) => {
      if (!env.PROCESS_NAME?.endsWith('.1')) return { is: 'whole' }
      reply.hijack().raw.writeHead(200, { 'content-length': '1000' }).write('only the beginning')
      setImmediate(() => request.socket.destroy())
    })
    scope.get('/remote-port', { config }, async ({ socket }) => ({ remotePort: socket.remotePort }))
    scope.register(async (uploads) => {
      uploads.addContentTypeParser('application/octet-stream', (_request, _body, done) => done(null))
      uploads.post('/upload', { config }, async (request) => {
        let bytes = 0
        for await (const chunk of request.raw) bytes += (chunk as Buffer).length
        return { bytes }
      })
    })
  },
  { prefix: env.PREFIX },
)

await runService(app, env)
