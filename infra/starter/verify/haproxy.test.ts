import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createService, sendEvents, type ServiceEnv } from '@repo/service'
import { freePort } from '@repo/testing/ports'
import { needs } from '@repo/testing/programs'
import { pollUntil } from '@repo/testing/poll-until'
import { expect, test } from 'vitest'
import { startHaproxy } from '../../prove/deployment/haproxy.ts'
import { sendRaw } from '../../prove/load/send-raw.ts'
import { shippedConfig } from './rolling-restarts.ts'

const shipped = await readFile(new URL('../../deploy/compose/haproxy.cfg', import.meta.url), 'utf8')

const env: ServiceEnv = {
  NODE_ENV: 'test',
  PORT: 0,
  LOG_LEVEL: 'silent',
  PUBLIC_ORIGIN: 'https://example.com',
  TRUST_PROXY: ['loopback'],
  KEEP_ALIVE_TIMEOUT_MS: 72_000,
  DRAIN_MS: 0,
  SHUTDOWN_DEADLINE_MS: 1000,
}

test(
  'the load balancer of Compose hides the probes however their path is written, names the client itself, and knows one host',
  needs('haproxy'),
  async () => {
    const app = createService({ name: 'edge', env })
    const seen: string[] = []
    app.addHook('onRequest', async ({ url }) => void seen.push(url))
    app.get('/*', { config: { access: 'public' } }, async ({ ips }) => ({ ips }))
    await app.listen({ port: 0, host: '127.0.0.1' })
    const port = await freePort()
    const { port: behind } = app.server.address() as AddressInfo
    await using _ = await startHaproxy(port, shippedConfig(shipped, port, [behind]))
    const ask = (path: string, headers = 'host: example.com\r\n') =>
      sendRaw(port, `GET ${path} HTTP/1.1\r\n${headers}connection: close\r\n\r\n`)

    try {
      await pollUntil('it knows the process', async () => (await ask('/')).status === 200)
      const forged = 'host: example.com\r\nx-forwarded-for: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\n'
      expect((await ask('/', forged)).text).toContain('{"ips":["127.0.0.1","127.0.0.1"]}')
      expect((await ask('/', 'host: a.example\r\nhost: b.example\r\n')).status).toBe(400)
      expect((await ask('/assets/livez')).status).toBe(200)

      seen.length = 0
      for (const name of ['livez', 'readyz', 'metrics', 'openapi.json']) {
        const encoded = [...name].map((letter) => `%${letter.charCodeAt(0).toString(16)}`).join('')
        const paths = [
          name,
          encoded,
          encoded.toUpperCase(),
          name.toUpperCase(),
          `/${name}`,
          `${name}/`,
          `${name};x`,
          `${name}?x`,
        ]
        for (const path of [
          ...paths,
          `%${name.charCodeAt(0).toString(16)}${name.slice(1)}`,
          `%2f${name}`,
          `${name}%2f`,
        ]) {
          expect([path, (await ask(`/${path}`)).status]).toEqual([path, 404])
        }
      }
      expect(seen).toEqual([])
    } finally {
      await app.close()
    }
  },
)

const json = 'content-type: application/json\r\n'

/** The exact bytes of a request, and its answer, which must be the same directly and through the load balancer. */
const cases: [name: string, bytes: string, status: number, text: string | RegExp][] = [
  [
    'a target in absolute form',
    'GET http://example.com/host HTTP/1.1\r\nhost: example.com\r\n\r\n',
    200,
    '"example.com"',
  ],
  ['the server as a whole', 'OPTIONS * HTTP/1.1\r\nhost: example.com\r\n\r\n', 204, ''],
  ['JSON without a body', `DELETE /none HTTP/1.1\r\nhost: example.com\r\n${json}\r\n`, 200, '"gone"'],
  [
    'JSON of no length',
    `POST /none HTTP/1.1\r\nhost: example.com\r\n${json}content-length: 0\r\n\r\n`,
    200,
    '"gone"',
  ],
  [
    'a packed body',
    `POST /none HTTP/1.1\r\nhost: example.com\r\n${json}content-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}`,
    415,
    /ENCODING_UNSUPPORTED/,
  ],
  [
    'an app of its own origin',
    `DELETE /none HTTP/1.1\r\nhost: example.com\r\norigin: capacitor://localhost\r\n\r\n`,
    200,
    '"gone"',
  ],
  [
    'another origin',
    `DELETE /none HTTP/1.1\r\nhost: example.com\r\norigin: https://elsewhere.example\r\n\r\n`,
    403,
    /ORIGIN_REJECTED/,
  ],
  ['an event stream', 'GET /events HTTP/1.1\r\nhost: example.com\r\n\r\n', 200, /data: 1/],
]

test(
  'whether straight or through the load balancer of Compose, the same is answered',
  needs('haproxy'),
  async () => {
    const app = createService({ name: 'edge', env: { ...env, APP_ORIGINS: ['capacitor://localhost'] } })
    const config = { access: 'public' } as const
    app.get('/host', { config }, async ({ host }) => JSON.stringify(host))
    app.route({ method: ['POST', 'DELETE'], url: '/none', config, handler: async () => '"gone"' })
    app.get('/events', { config }, (request, reply) =>
      sendEvents(request, reply, async function* () {
        yield { data: 1 }
      }),
    )
    await app.listen({ port: 0, host: '127.0.0.1' })
    const { port: behind } = app.server.address() as AddressInfo
    const port = await freePort()
    await using _ = await startHaproxy(port, shippedConfig(shipped, port, [behind]))
    try {
      const ready = 'GET /host HTTP/1.1\r\nhost: example.com\r\nconnection: close\r\n\r\n'
      await pollUntil('it knows the process', async () => (await sendRaw(port, ready)).status === 200)
      for (const [name, bytes, status, text] of cases) {
        const closing = bytes.replace('\r\n\r\n', '\r\nconnection: close\r\n\r\n')
        for (const to of [behind, port]) {
          const answer = await sendRaw(to, closing)
          expect([name, to === port, answer.status]).toEqual([name, to === port, status])
          expect(answer.text).toEqual(
            typeof text === 'string' ? expect.stringContaining(text) : expect.stringMatching(text),
          )
        }
      }
    } finally {
      await app.close()
    }
  },
)
