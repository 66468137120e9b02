import { spawnSync } from 'node:child_process'
import { createServer, type RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fetchFile, type FetchLimits } from '../src/domain/fetch-file.ts'
import { ImportProblem } from '../src/domain/import-problem.ts'
import { createAddressCheck } from '../src/domain/public-address.ts'

const loopback = createAddressCheck(['127.0.0.1'])

test('fetches a file in pieces, through redirects', async () => {
  const url = await serve((request, response) => {
    if (request.url === '/moved') response.writeHead(302, { location: '/file?x=1' }).end('not this')
    else response.end('the file')
  })
  expect(await fetchText(`${url}/moved`)).toBe('the file')
})

test('waits for a large file for as long as it keeps coming', async () => {
  const url = await serve((_, response) => {
    let pieces = 0
    const timer = setInterval(() => {
      response.write('x'.repeat(16 * 1024))
      if (++pieces < 20) return
      clearInterval(timer)
      response.end()
    }, 50)
  })
  expect(await fetchText(url, { graceMs: 300 })).toHaveLength(20 * 16 * 1024)
})

test('unpacks what was compressed', async () => {
  const url = await serve((_, response) => {
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync('the file'))
  })
  expect(await fetchText(url)).toBe('the file')
})

// A separate process in a network without a way out: no name is resolved, and no address is reachable.
const inNoNetwork = [
  'unshare',
  ...(process.getuid?.() === 0 ? ['--net'] : ['--user', '--map-root-user', '--net']),
]
const hasNoNetworks = spawnSync(inNoNetwork[0]!, [...inNoNetwork.slice(1), 'true']).status !== 0

test.skipIf(hasNoNetworks).each([
  ['its name is not resolved', 'http://example.org/', 'EAI_AGAIN'],
  ['no network leads there', 'http://192.0.2.1/', 'ENETUNREACH'],
])('is no problem of the file when %s, but ours', (_, url, code) => {
  const script = `
    import { fetchFile } from ${JSON.stringify(new URL('../src/domain/fetch-file.ts', import.meta.url).href)}
    const limits = { maxBytes: 1000, isAllowedAddress: () => true }
    await fetchFile('${url}', limits, new AbortController().signal).next().catch((error) => {
      console.log(error.name, error.cause?.code)
    })`
  const args = [...inNoNetwork.slice(1), process.execPath, '--input-type=module', '--eval', script]
  const { stdout, stderr } = spawnSync(inNoNetwork[0]!, args, { encoding: 'utf8' })
  expect(stdout + stderr).toBe(`TypeError ${code}\n`)
})

describe('refuses to go', () => {
  test.each([
    'http://127.0.0.1:49999',
    'http://[::1]:49999',
    'http://0x7f.1:49999',
    'http://2130706433:49999',
    'http://localhost:49999',
  ])('to %s', async (url) => {
    await expect(fetchText(url, { isAllowedAddress: createAddressCheck() })).rejects.toThrow(
      'The server was not found on the public internet.',
    )
  })

  test('to a name that leads here, without asking the server there', async () => {
    let requests = 0
    const url = await serve((_, response) => response.end(String(requests++)))
    const byName = url.replace('127.0.0.1', 'localhost')
    await expect(fetchText(byName, { isAllowedAddress: createAddressCheck() })).rejects.toThrow(ImportProblem)
    expect(requests).toBe(0)
    expect(await fetchText(byName)).toBe('0')
  })

  test.each([
    ['a private address', 'http://10.0.0.1/', 'not found on the public internet'],
    ['a name that leads inside', 'http://localhost.localdomain/', 'not found on the public internet'],
    ['another protocol', 'ftp://example.org/', 'not http or https'],
    ['a file', 'file:///etc/passwd', 'not http or https'],
    ['an address with a password', 'http://user:secret@example.org/', 'user name or password'],
    ['no address', 'http://', 'an address that is none'],
  ])('where a redirect leads to %s', async (_, location, message) => {
    const url = await serve((_, response) => response.writeHead(301, { location }).end())
    await expect(fetchText(url)).rejects.toThrow(message)
  })

  test('round in circles', async () => {
    let requests = 0
    const url = await serve((_, response) => response.writeHead(307, { location: `/${requests++}` }).end())
    await expect(fetchText(url)).rejects.toThrow('redirects more than 5 times')
    expect(requests).toBe(6)
  })
})

describe('gives up on', () => {
  test('a file that says it is too large, before its first byte', async () => {
    const url = await serve((_, response) => response.writeHead(200, { 'content-length': 5000 }).write('x'))
    await expect(fetchText(url, { maxBytes: 4999 })).rejects.toThrow('larger than 4999 bytes')
  })

  test('a file that turns out too large', async () => {
    const url = await serve((_, response) => {
      // When the client has gone, write() calls back at once with an error. Without this check no timer would run.
      const more = (error?: Error | null) => void (error || response.write('x'.repeat(1000), more))
      more()
    })
    await expect(fetchText(url, { maxBytes: 100_000 })).rejects.toThrow('larger than 100000 bytes')
  })

  test('a small answer that unpacks to a large file', async () => {
    const bomb = gzipSync(Buffer.alloc(50 * 1024 * 1024))
    const url = await serve((_, response) =>
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
    )
    await expect(fetchText(url, { maxBytes: 1024 * 1024 })).rejects.toThrow('larger than 1048576 bytes')
  })

  test('a server that falls silent', async () => {
    const url = await serve((_, response) => response.write('the beginning'))
    await expect(fetchText(url, { idleTimeoutMs: 200 })).rejects.toThrow('took too long')
  })

  test('a server that dawdles for ever', async () => {
    const url = await serve((_, response) => {
      const timer = setInterval(() => response.write('.'), 20)
      response.on('close', () => clearInterval(timer))
    })
    await expect(fetchText(url, { totalTimeoutMs: 300 })).rejects.toThrow('took too long to send')
  })

  test('a server that sends a byte now and then, never silent for long', async () => {
    const url = await serve((_, response) => {
      const timer = setInterval(() => response.write('.'), 50)
      response.on('close', () => clearInterval(timer))
    })
    const begunAt = performance.now()
    await expect(fetchText(url, { graceMs: 500 })).rejects.toThrow('took too long to send')
    expect(performance.now() - begunAt).toBeLessThan(5_000)
  })

  test('redirects that each take their time', async () => {
    const url = await serve(
      (_, response) => void setTimeout(() => response.writeHead(302, { location: '/' }).end(), 200),
    )
    await expect(fetchText(url, { graceMs: 500 })).rejects.toThrow('took too long to send')
  })

  test.each([404, 500])('an answer with status %i', async (status) => {
    const url = await serve((_, response) => response.writeHead(status).end('secret trace'))
    await expect(fetchText(url)).rejects.toThrow(`The server answered with status ${status}.`)
  })

  test('a connection that breaks, without a word about our network', async () => {
    const url = await serve((_, response) => response.writeHead(200).write('x', () => response.destroy()))
    await expect(fetchText(url)).rejects.toThrow(/^The file could not be fetched: the connection failed.$/)
  })
})

test('stops with its job, and not as a problem of the file', async () => {
  const url = await serve((_, response) => response.write('the beginning'))
  const abort = new AbortController()
  const pending = fetchText(url, {}, abort.signal)
  abort.abort(new Error('shutting down'))
  await expect(pending).rejects.toThrow('shutting down')
})

async function fetchText(
  url: string,
  limits: Partial<FetchLimits> = {},
  signal = new AbortController().signal,
) {
  const pieces = fetchFile(url, { maxBytes: 1e6, isAllowedAddress: loopback, ...limits }, signal)
  return Buffer.concat(await Array.fromAsync(pieces)).toString()
}

async function serve(answer: RequestListener): Promise<string> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  onTestFinished(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}
