import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { expectAnswer } from '@repo/testing/backing-service'
import { findProgram, needs } from '@repo/testing/programs'
import { freePort } from '@repo/testing/ports'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered } from '@repo/testing/spawn-tethered'
import { startRedis } from '@repo/testing/start-redis'
import { afterAll, expect, test } from 'vitest'

const run = promisify(execFile)
const program = findProgram('redis-server', 'valkey-server')
const resources = new AsyncDisposableStack()
afterAll(() => resources.disposeAsync())

test(
  'rediss, rediss+sentinel and rediss+cluster speak TLS to everybody, and only to who has a certificate they trust',
  { ...needs('redis'), timeout: 60_000 },
  async () => {
    const { path } = resources.use(await openTemporaryFolder('tls'))
    const byAddress = await makeCertificate(path, 'IP:127.0.0.1')
    const tls = argumentsFor(byAddress)

    const port = await freePort()
    resources.use((await startRedis({ args: ['--tls-port', `${port}`, ...tls] }))!)
    const [sentinelPort, plainPort] = [await freePort(), await freePort()]
    const file = join(path, 'sentinel.conf')
    await writeFile(file, `sentinel monitor sessions 127.0.0.1 ${port} 1\n`)
    const ports = ['--port', `${plainPort}`, '--tls-port', `${sentinelPort}`]
    const args = [file, '--sentinel', ...ports, ...tls, '--tls-replication', 'yes', '--dir', path]
    resources.use(spawnTethered(program!, args, { env: { PATH: process.env.PATH } }))
    await pollUntil('the sentinel answers', async () =>
      Boolean(await expectAnswer(plainPort, 'PING', /^\+PONG/)),
    )

    // As in hosted clusters: the nodes have names, and the certificates contain only the names.
    const byName = await makeCertificate(path, 'DNS:localhost')
    const clusterPort = await startCluster(argumentsFor(byName))

    for (const [url, { cert }] of [
      [`rediss://127.0.0.1:${port}`, byAddress],
      [`rediss+sentinel://127.0.0.1:${sentinelPort}/sessions`, byAddress],
      [`rediss+cluster://localhost:${clusterPort}`, byName],
    ] as const) {
      expect(await tryStore(url, cert)).toBe('a record')
      expect(await tryStore(url)).toBe('SESSION_STORE_UNAVAILABLE')
    }
  },
)

interface Certificate {
  key: string
  cert: string
}

async function makeCertificate(folder: string, subject: string): Promise<Certificate> {
  const [key, cert] = ['key', 'cert'].map((what) => join(folder, `${subject}.${what}.pem`)) as [
    string,
    string,
  ]
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-keyout', key]
  const names = ['-subj', '/CN=nonstick', '-addext', `subjectAltName=${subject}`]
  await run('openssl', ['req', '-x509', ...newKey, '-out', cert, '-days', '1', ...names])
  return { key, cert }
}

function argumentsFor({ key, cert }: Certificate): string[] {
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert]
  return [...files, '--tls-auth-clients', 'no']
}

/** A cluster of one node, which has all slots. Returns its TLS port. */
async function startCluster(tls: string[]): Promise<number> {
  const [port, busPort] = [await freePort(), await freePort()]
  const ports = ['--tls-port', `${port}`, '--cluster-port', `${busPort}`]
  const name = ['--cluster-announce-hostname', 'localhost', '--cluster-preferred-endpoint-type', 'hostname']
  const args = ['--cluster-enabled', 'yes', '--tls-cluster', 'yes', ...ports, ...name, ...tls]
  const { url } = resources.use((await startRedis({ args }))!)
  const plainPort = Number(new URL(url).port)
  await expectAnswer(plainPort, 'CLUSTER ADDSLOTSRANGE 0 16383', /^\+OK/)
  await pollUntil('the cluster is whole', async () =>
    Boolean(await expectAnswer(plainPort, 'CLUSTER INFO', /cluster_state:ok/)),
  )
  return port
}

/** Starts a process that also trusts these certificates. Returns what it reads back from the store. */
async function tryStore(url: string, trusted?: string): Promise<string> {
  const script = `
    import { openSessionStore } from './src/index.ts'
    await using store = await openSessionStore('${url}')
    const work = async () => {
      await store.create('${url}', 'a record', 60_000)
      return store.load('${url}', 60_000)
    }
    console.log(await work().catch(({ code }) => code))`
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('..', import.meta.url)),
    env: { PATH: process.env.PATH, ...(trusted && { NODE_EXTRA_CA_CERTS: trusted }) },
  })
  return stdout.trim()
}
