import { afterAll, beforeAll, expect, test } from 'vitest'
import { openRotation } from '@repo/calls'
import { openHouse, type Fixture, type House } from './start-edge.ts'
import { pollUntil } from '@repo/testing'

let house: House
let three: Fixture
beforeAll(async () => {
  house = await openHouse()
  three = await house.service('/api/three', 3)
})
afterAll(() => house[Symbol.asyncDispose]())

test('successive requests go to successive processes, strictly, whatever their method', async () => {
  const edge = await house.edge([three.upstream()])
  const names: string[] = []
  for (let i = 0; i < 12; i++) {
    const init =
      i % 3 === 1
        ? { method: 'POST', body: JSON.stringify({ id: `${i}` }) }
        : { method: i % 2 ? 'HEAD' : 'GET' }
    const response = await fetch(`${edge}/api/three`, {
      ...init,
      headers: { 'content-type': 'application/json' },
    })
    expect(response.status).toBe(200)
    names.push(response.headers.get('x-process')!)
    await response.arrayBuffer()
  }
  const round = names.slice(0, 3)
  expect(new Set(round).size).toBe(3)
  expect(names).toEqual([...round, ...round, ...round, ...round])
})

test('concurrent requests are spread evenly', async () => {
  const edge = await house.edge([three.upstream()])
  const answers = await Promise.all(Array.from({ length: 60 }, () => fetch(`${edge}/api/three`)))
  const counts = Map.groupBy(answers, (answer) => answer.headers.get('x-process'))
  expect([...counts.values()].map((group) => group.length)).toEqual([20, 20, 20])
})

test('processes appear and vanish with the addresses of their name', async () => {
  const { port } = new URL(three.processes[0]!.url)
  let addresses = [{ address: '127.0.0.1', family: 4 }]
  const changes: string[] = []
  await using rotation = await openRotation({
    urls: [new URL(`http://three.internal:${port}`)],
    lookup: async () => {
      if (addresses.length === 0) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' })
      return addresses
    },
    probeEveryMs: 50,
    timeoutMs: 1000,
    onChange: (origin, change) => changes.push(`${change} ${origin}`),
  })
  const first = rotation.next(new Set())
  expect(first).toMatchObject({ origin: `http://127.0.0.1:${port}`, host: `three.internal:${port}` })
  expect(rotation.next(new Set([first!]))).toBeUndefined()

  addresses = []
  await pollUntil('the process has left', () => rotation.next(new Set()) === undefined)
  addresses = [{ address: '127.0.0.1', family: 4 }]
  await pollUntil('the process has come back', () => rotation.next(new Set()) !== undefined)
  const origin = `http://127.0.0.1:${port}`
  expect(changes).toEqual([`ready ${origin}`, `removed ${origin}`, `ready ${origin}`])
})

test('when the resolver itself fails, what it last said is kept', async () => {
  const { port } = new URL(three.processes[0]!.url)
  let isBroken = false
  let failures = 0
  await using rotation = await openRotation({
    urls: [new URL(`http://three.internal:${port}`)],
    lookup: async () => {
      if (!isBroken) return [{ address: '127.0.0.1', family: 4 }]
      failures++
      throw Object.assign(new Error('try again'), { code: 'EAI_AGAIN' })
    },
    probeEveryMs: 50,
    timeoutMs: 1000,
    onChange: () => {},
  })
  isBroken = true
  await pollUntil('the resolver was asked again', () => failures > 1)
  expect(rotation.next(new Set())).toBeDefined()
})

test('a real name is resolved to all its addresses', async () => {
  const { port } = new URL(three.processes[0]!.url)
  const edge = await house.edge([`/api/three=http://localhost:${port}`])
  const answers = await Promise.all([1, 2, 3].map(() => fetch(`${edge}/api/three/headers`)))
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(await answers[0]!.json()).toMatchObject({ host: `localhost:${port}` })
})
