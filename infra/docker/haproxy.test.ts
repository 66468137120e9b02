import { readFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { freePort } from '@repo/testing/free-port'
import { needs } from '@repo/testing/needs'
import { pollUntil } from '@repo/testing/poll-until'
import { createService } from '@repo/service'
import { expect, test } from 'vitest'
import { startHaproxy } from '../prove/deployment/haproxy.ts'
import { sendRaw } from '../prove/load/send-raw.ts'
import { shippedConfig } from '../verify/rolling-restarts.ts'

const shipped = await readFile(new URL('haproxy.cfg', import.meta.url), 'utf8')

test(
  'the load balancer of Compose hides the probes however their path is written, names the client itself, and knows one host',
  needs('haproxy'),
  async () => {
    const app = createService({
      name: 'edge',
      env: {
        NODE_ENV: 'test',
        PORT: 0,
        LOG_LEVEL: 'silent',
        PUBLIC_ORIGIN: 'https://example.com',
        TRUST_PROXY: ['loopback'],
        KEEP_ALIVE_TIMEOUT_MS: 72_000,
        DRAIN_MS: 0,
        SHUTDOWN_DEADLINE_MS: 1000,
      },
    })
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
