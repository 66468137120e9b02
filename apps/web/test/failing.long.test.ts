import { once } from 'node:events'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@repo/testing/ports'
import { pollUntil, type NodeProcess } from '@repo/testing'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { openHouse, type Fixture, type House } from './start-edge.ts'

let house: House
let pair: Fixture
let edge: string

beforeAll(async () => {
  house = await openHouse()
  pair = await house.service('/api/pair', 2)
  edge = await house.edge([pair.upstream()])
})
afterEach(() => pair.reset())
afterAll(() => house[Symbol.asyncDispose]())

function post(id: string): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${edge}/api/pair`, { method: 'POST', headers, body: JSON.stringify({ id }) })
}

/** The line in which a process recorded that it has the slow request. */
async function began(): Promise<string | undefined> {
  return (await pair.done()).find((line) => line.endsWith(' began'))
}

async function whoBegan(): Promise<string> {
  await pollUntil('the request has arrived', async () => (await began()) !== undefined)
  return (await began())!
}

async function killed(running: NodeProcess): Promise<void> {
  running.kill('SIGKILL')
  await running.exited
}

/** Light, steady load until `isOver`. Resolves to what was sent, and to every failure. */
async function load(
  isOver: () => boolean,
  kinds: ('read' | 'write')[],
): Promise<{ sent: string[]; failed: string[] }> {
  const sent: string[] = []
  const failed: string[] = []
  async function client(name: string): Promise<void> {
    for (let n = 0; !isOver(); n++) {
      const kind = kinds[n % kinds.length]!
      const id = `${name}-${n}`
      try {
        const response = await (kind === 'read' ? fetch(`${edge}/api/pair`) : post(id))
        if (!response.ok) failed.push(`${kind} ${response.status} ${await response.text()}`)
        else await response.arrayBuffer()
        if (kind === 'write') sent.push(id)
      } catch (error) {
        failed.push(`${kind} ${(error as Error).cause ?? error}`)
      }
      await sleep(2)
    }
  }
  await Promise.all(['a', 'b', 'c', 'd'].map(client))
  return { sent, failed }
}

test('no request fails, and none is done twice, while each process is stopped and started again', async () => {
  let isOver = false
  const loading = load(() => isOver, ['read', 'write'])
  for (const n of [1, 2, 1, 2]) {
    const running = pair.processes[n - 1]!
    running.kill('SIGTERM')
    expect(await running.exited).toMatchObject({ code: 0 })
    await pair.start(n)
  }
  isOver = true
  const { sent, failed } = await loading
  expect(failed).toEqual([])
  expect(sent.length).toBeGreaterThan(100)
  expect((await pair.done()).sort()).toEqual(sent.sort())
})

test('reads go on without a failure while processes are killed', async () => {
  let isOver = false
  const loading = load(() => isOver, ['read'])
  for (const n of [1, 2]) {
    await killed(pair.processes[n - 1]!)
    await pair.start(n)
  }
  isOver = true
  expect((await loading).failed).toEqual([])
})

test('a write that nobody has seen yet is tried on the next process', async () => {
  await killed(pair.processes[0]!)
  const ids = ['1', '2', '3', '4']
  const answers = await Promise.all(ids.map(post))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200])
  expect((await pair.done()).sort()).toEqual(ids)
})

test('a write whose process dies with it is not sent again, and the client hears that its fate is unknown', async () => {
  const slow = fetch(`${edge}/api/pair/slow?ms=20000`, { method: 'POST' })
  const who = await whoBegan()
  await killed(pair.processes.find(({ name }) => who === `${name} began`)!)

  const response = await slow
  expect(response.status).toBe(502)
  expect(response.headers.get('content-type')).toBe('application/problem+json')
  expect(await response.json()).toMatchObject({ code: 'SERVICE_BROKE_OFF', status: 502 })
  expect(await pair.done()).toEqual([who])
})

test('a read whose process dies with it is asked for again', async () => {
  const slow = fetch(`${edge}/api/pair/slow?ms=300`)
  const who = await whoBegan()
  await killed(pair.processes.find(({ name }) => who === `${name} began`)!)
  expect((await slow).status).toBe(200)
  expect(await pair.done()).toHaveLength(2)
})

test('an answer that breaks off in the middle is asked for again, and nobody sees the first half', async () => {
  for (let i = 0; i < 4; i++)
    expect(await (await fetch(`${edge}/api/pair/breaks-off`)).json()).toEqual({ is: 'whole' })
})

test('connections are kept', async () => {
  const ports = new Set<number>()
  for (let i = 0; i < 20; i++) {
    const { remotePort } = (await (await fetch(`${edge}/api/pair/remote-port`)).json()) as {
      remotePort: number
    }
    ports.add(remotePort)
  }
  // One for each process, and one more for each if a probe was using the first.
  expect(ports.size).toBeLessThanOrEqual(4)
})

test('a service without a process is a 503 at once, and comes back by itself', async () => {
  const port = await freePort()
  const lonely = await house.edge([`/api/lonely=http://127.0.0.1:${port}`])
  const began = performance.now()
  const response = await fetch(`${lonely}/api/lonely`, { method: 'POST', body: 'x' })
  expect(performance.now() - began).toBeLessThan(300)
  expect(response.status).toBe(503)
  expect(response.headers.get('retry-after')).toBe('1')
  expect(await response.json()).toMatchObject({ code: 'SERVICE_UNAVAILABLE', title: 'Service Unavailable' })

  const late = await house.service('/api/lonely', 0)
  await late.start(1, port)
  expect((await fetch(`${lonely}/api/lonely`)).status).toBe(200)
})

test('the page and other services are not affected when a service is unavailable', async () => {
  const port = await freePort()
  const mixed = await house.edge([pair.upstream(), `/api/lonely=http://127.0.0.1:${port}`])
  expect((await fetch(`${mixed}/api/lonely`)).status).toBe(503)
  expect((await fetch(`${mixed}/api/pair`)).status).toBe(200)
  expect((await fetch(`${mixed}/readyz`)).status).toBe(200)
})

test('a frozen process leaves the rotation, takes no read with it, and comes back', async () => {
  const [frozen] = pair.processes
  frozen!.kill('SIGSTOP')
  const answers = await Promise.all([1, 2, 3, 4].map(() => fetch(`${edge}/api/pair`)))
  expect(answers.map((answer) => answer.headers.get('x-process'))).toEqual(Array(4).fill('/api/pair.2'))

  const began = performance.now()
  for (let i = 0; i < 10; i++) expect((await fetch(`${edge}/api/pair`)).status).toBe(200)
  expect(performance.now() - began).toBeLessThan(1000)

  frozen!.kill('SIGCONT')
  await pollUntil('the thawed process answers again', async () => {
    const { headers } = await fetch(`${edge}/api/pair`)
    return headers.get('x-process') === '/api/pair.1'
  })
})

test('a service that takes too long is a 504', async () => {
  const hasty = await house.edge([pair.upstream()], { UPSTREAM_TIMEOUT_MS: 200 })
  const response = await fetch(`${hasty}/api/pair/slow?ms=20000`)
  expect(response.status).toBe(504)
  expect(await response.json()).toMatchObject({ code: 'SERVICE_TIMEOUT' })
})

test('the head of a stream is forwarded before its first chunk', async () => {
  const began = performance.now()
  const response = await fetch(`${edge}/api/pair/late?end=ends`)
  expect(performance.now() - began).toBeLessThan(400)
  expect(await response.text()).toBe('data: at last\n\n')
})

test('a service that aborts its answer after the head, or is silent after it, is not logged as our own error', async () => {
  const hasty = await house.edge([pair.upstream()], { UPSTREAM_TIMEOUT_MS: 300 })
  const asked = async (path: string, method = 'POST') => {
    const response = await fetch(`${hasty}/api/pair${path}`, { method })
    return [response.status, ((await response.json()) as { code: string }).code]
  }
  expect(await asked('/short?end=breaks-off')).toEqual([502, 'SERVICE_BROKE_OFF'])
  expect(await asked('/short?end=nothing')).toEqual([504, 'SERVICE_TIMEOUT'])
  expect(await asked('/short?end=nothing', 'GET')).toEqual([504, 'SERVICE_TIMEOUT'])
  for (const then of ['breaks-off', 'nothing']) {
    const response = await fetch(`${hasty}/api/pair/late?end=${then}`)
    expect(response.status).toBe(200)
    await expect(response.text()).rejects.toThrow('terminated')
  }
})

test('when the client disconnects, so does the edge from the service', async () => {
  const gone = new AbortController()
  const asking = fetch(`${edge}/api/pair/slow?ms=20000`, { method: 'POST', signal: gone.signal })
  await whoBegan()
  gone.abort()
  await expect(asking).rejects.toThrow('aborted')
  await pollUntil('the service has noticed', async () => (await pair.done()).includes('connection closed'))
  expect((await fetch(`${edge}/api/pair`)).status).toBe(200)
})

test('a long answer is streamed at the pace of its reader, and stopped when the reader goes', async () => {
  const { port } = new URL(edge)
  const socket = connect(Number(port), '127.0.0.1')
  socket.write('GET /api/pair/stream?mib=2000 HTTP/1.1\r\nhost: x\r\n\r\n')
  await once(socket, 'data')
  socket.pause()
  const before = process.memoryUsage.rss()
  await sleep(300)
  expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024)
  expect(await pair.done()).not.toContain('stream closed')
  socket.destroy()
  await pollUntil('the service has stopped', async () => (await pair.done()).includes('stream closed'))

  const whole = await fetch(`${edge}/api/pair/stream?mib=100`)
  let bytes = 0
  for await (const chunk of whole.body!) bytes += chunk.length
  expect(bytes).toBe(100 * 1024 * 1024)
})

test('a large body is streamed to the service, with a length and without one', async () => {
  const mib = Buffer.alloc(1024 * 1024, 'x')
  const pieces = (): ReadableStream<Uint8Array> => {
    let left = 100
    return new ReadableStream({
      pull(controller) {
        if (left-- > 0) controller.enqueue(mib)
        else controller.close()
      },
    })
  }
  for (const headers of [{}, { 'content-length': `${100 * mib.length}` }]) {
    const response = await fetch(`${edge}/api/pair/upload`, {
      method: 'POST',
      headers: { 'content-type': 'application/octet-stream', ...headers },
      body: pieces(),
      duplex: 'half',
    } as RequestInit)
    expect(await response.json()).toEqual({ bytes: 100 * mib.length })
  }
})

test('a 2 GB body that the service refuses is refused at once, every time, and buffered nowhere', async () => {
  const before = process.memoryUsage.rss()
  for (let round = 0; round < 10; round++) {
    const { port } = new URL(edge)
    const socket = connect(Number(port), '127.0.0.1')
    let answer = ''
    socket.on('data', (chunk) => (answer += chunk))
    socket.on('error', (error) => (answer += error.message))
    socket.write('POST /api/pair HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n')
    socket.write('content-length: 2000000000\r\n\r\n')
    const sending = setInterval(() => socket.writableNeedDrain || socket.write(Buffer.alloc(256 * 1024)), 1)
    await once(socket, 'end').catch(() => {})
    clearInterval(sending)
    socket.destroy()
    expect(answer).toMatch(/^HTTP\/1.1 413 [^]*connection: close[^]*BODY_TOO_LARGE/i)
  }
  expect(process.memoryUsage.rss() - before).toBeLessThan(100 * 1024 * 1024)
})
