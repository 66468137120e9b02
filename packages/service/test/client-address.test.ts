import { pollUntil } from '@repo/testing/poll-until'
import { expect, test } from 'vitest'
import { canonicalAddress, networkOf } from '../src/client-address.ts'
import { createService, type ServiceEnv } from '../src/index.ts'
import { startFixture } from './start-fixture.ts'
import { testEnv } from './test-env.ts'

/** The client of a request from a peer at this address with this X-Forwarded-For. */
async function ask(
  forwardedFor: string | undefined,
  { peer = '10.0.0.1', trusted = ['uniquelocal'] }: { peer?: string; trusted?: string[] } = {},
): Promise<{ ip: string; ips?: string[]; network: string }> {
  const env: ServiceEnv = { ...testEnv, ...(trusted.length > 0 && { TRUST_PROXY: trusted }) }
  const app = createService({ name: 'addresses', env })
  app.get('/', { config: { access: 'public' } }, async ({ ip, ips, network }) => ({ ip, ips, network }))
  const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
  const answer = await app.inject({ url: '/', headers, remoteAddress: peer })
  expect(answer.statusCode).toBe(200)
  return answer.json()
}

test.each([
  ['203.0.113.9', '203.0.113.9'],
  ['203.0.113.9:49152', '203.0.113.9'],
  ['203.0.113.9:_hidden', '203.0.113.9'],
  ['::ffff:203.0.113.9', '203.0.113.9'],
  ['::FFFF:cb00:7109', '203.0.113.9'],
  ['[::ffff:203.0.113.9]:443', '203.0.113.9'],
  ['0:0:0:0:0:ffff:203.0.113.9', '203.0.113.9'],
  ['::ffff:0.0.0.1', '0.0.0.1'],
  ['2001:DB8::1', '2001:db8::1'],
  ['2001:0db8:0000:0000:0000:0000:0000:0001', '2001:db8::1'],
  ['[2001:db8::1]', '2001:db8::1'],
  ['[2001:db8::1]:49152', '2001:db8::1'],
  ['fe80::1%eth0', 'fe80::1'],
  ['[fe80::1%25eth0]:80', 'fe80::1'],
  ['::1', '::1'],
  ...[
    '',
    'unknown',
    '_hidden',
    '203.0.113',
    '203.0.113.9.',
    '0x7f.1',
    '010.0.0.1',
    '203.0.113.9:',
    '::g',
    '1::2::3',
  ].map((garbage): [string, null] => [garbage, null]),
  ['2001:db8::1]:443', null],
  ['[203.0.113.9', null],
  [`[${':'.repeat(16_000)}]`, null],
])('%s is the address %s', (text, address) => {
  expect(canonicalAddress(text)).toBe(address)
})

test.each([
  ['203.0.113.9', '203.0.113.9'],
  ['::ffff:203.0.113.9', '203.0.113.9'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2::1', '2001:db8:1:2::/64'],
  ['2001:db8::1', '2001:db8::/64'],
  ['2001:0db8:0:0:ffff::', '2001:db8::/64'],
  ['fe80::1%eth0', 'fe80::/64'],
  ['::1', '::/64'],
  ['not:an:address', 'not:an:address'],
])('%s is counted as %s', (address, network) => {
  expect(networkOf(address)).toBe(network)
  expect(networkOf(network)).toBe(network)
})

test('however a proxy writes the address of a client, it is one client', async () => {
  const ways = [
    '203.0.113.9',
    '203.0.113.9:1',
    '203.0.113.9:2',
    '::ffff:203.0.113.9',
    '[::ffff:cb00:7109]:3',
    '6.6.6.6, 203.0.113.9:4',
  ]
  for (const way of ways) {
    expect([way, await ask(way)]).toEqual([
      way,
      { ip: '203.0.113.9', ips: ['10.0.0.1', '203.0.113.9'], network: '203.0.113.9' },
    ])
  }
  for (const way of ['2001:db8::1', '2001:DB8:0::1', '[2001:db8::1]:1', '[2001:db8:0:0::1]:2']) {
    expect([way, await ask(way)]).toMatchObject([way, { ip: '2001:db8::1', network: '2001:db8::/64' }])
  }
})

test('a trusted proxy is known by its address, however it or the kernel writes that', async () => {
  expect(await ask('203.0.113.9', { peer: '::ffff:10.0.0.1' })).toMatchObject({ ip: '203.0.113.9' })
  expect(await ask('203.0.113.9, 10.0.0.2:8080, [fd00::1]:80')).toMatchObject({
    ip: '203.0.113.9',
    ips: ['10.0.0.1', 'fd00::1', '10.0.0.2', '203.0.113.9'],
  })
  // As on Fly, which adds the address of the app.
  const fly = ['uniquelocal', '198.51.100.7', '2001:db8:f::1']
  expect(await ask('6.6.6.6, 203.0.113.9, 198.51.100.7', { trusted: fly })).toMatchObject({
    ip: '203.0.113.9',
  })
  expect(await ask('2001:db8::1, 2001:DB8:f:0::1', { trusted: fly })).toMatchObject({ ip: '2001:db8::1' })
})

test('a sender that is not trusted is the client, and a list that is all trusted begins with it', async () => {
  expect(await ask('203.0.113.9', { trusted: [] })).toEqual({ ip: '10.0.0.1', network: '10.0.0.1' })
  expect(await ask('203.0.113.9', { peer: '198.51.100.1' })).toMatchObject({ ip: '198.51.100.1' })
  expect(await ask('192.168.0.9, 10.0.0.2')).toMatchObject({ ip: '192.168.0.9' })
  expect(await ask(undefined)).toEqual({ ip: '10.0.0.1', ips: ['10.0.0.1'], network: '10.0.0.1' })
})

test('a value that is no address names no client: the client is then the sender of the header', async () => {
  for (const garbage of [
    'unknown',
    '_x1',
    'a',
    '6.6.6.6, <script>',
    '203.0.113.9, 999.1.1.1',
    ':::',
    '%',
    '"',
  ]) {
    expect([garbage, await ask(garbage)]).toMatchObject([garbage, { ip: '10.0.0.1' }])
  }
  expect(await ask('6.6.6.6, _hidden, 10.0.0.7')).toMatchObject({ ip: '10.0.0.7' })
  for (const empty of ['', ',', ' , ,', ','.repeat(8000)]) {
    expect(await ask(empty)).toMatchObject({ ip: '10.0.0.1' })
  }
  expect(await ask('203.0.113.9, ,')).toMatchObject({ ip: '203.0.113.9' })
})

test('a real connection has the address of its client, in the log as well', async () => {
  const service = await startFixture('server.ts', { TRUST_PROXY: 'loopback' })
  await fetch(`${service.url}/work`, { headers: { 'x-forwarded-for': '[2001:DB8::1]:49152' } })
  await pollUntil('it is logged', () => service.log().some(({ path }) => path === '/work'))

  expect(service.log().find(({ path }) => path === '/work')).toMatchObject({ client: '2001:db8::/64' })
})

interface Sent {
  peer: string
  url?: string
  forwardedFor?: string
}

/** The warnings of a service in production after this many requests. */
async function warningsOf(
  count: number,
  sent: Sent | ((i: number) => Sent),
  env: Partial<ServiceEnv> = {},
): Promise<unknown[]> {
  const app = createService({ name: 'addresses', env: { ...testEnv, NODE_ENV: 'production', ...env } })
  app.get('/', { config: { access: 'public' } }, async () => 'hello')
  const warnings: unknown[] = []
  app.log.warn = (what: unknown) => void warnings.push(what)
  for (let i = 0; i < count; i++) {
    const { peer, url = '/', forwardedFor } = typeof sent === 'function' ? sent(i) : sent
    const headers = forwardedFor === undefined ? {} : { 'x-forwarded-for': forwardedFor }
    await app.inject({ url, remoteAddress: peer, headers })
  }
  return warnings
}

const TRUST_PROXY = ['uniquelocal']

test('a service that sees one client says so once, after two hundred requests, and does not count probes', async () => {
  const one = { peer: '10.0.0.1' }
  expect(await warningsOf(199, one)).toEqual([])
  expect(await warningsOf(500, one)).toEqual([{ client: '10.0.0.1', isForwarded: false, isBelieved: false }])
  expect(await warningsOf(500, { ...one, url: '/readyz' })).toEqual([])
  expect(await warningsOf(500, one, { NODE_ENV: 'development' })).toEqual([])
})

function throughTwo(i: number): Sent {
  return { peer: `10.0.0.${i % 2}`, forwardedFor: `203.0.113.${i % 100}` }
}

test('it also warns about proxies that are not trusted, even if there are two', async () => {
  expect(await warningsOf(300, throughTwo)).toEqual([
    { client: '10.0.0.1', isForwarded: true, isBelieved: false },
  ])
  expect(await warningsOf(300, throughTwo, { TRUST_PROXY })).toEqual([])
})

test('it also warns about a network that hides its clients from the proxy, and about no other', async () => {
  const hidden = { peer: '10.0.0.1', forwardedFor: '10.9.9.9' }
  expect(await warningsOf(300, hidden, { TRUST_PROXY })).toEqual([
    { client: '10.9.9.9', isForwarded: true, isBelieved: true },
  ])
  expect(await warningsOf(500, (i) => ({ peer: `203.0.113.${i % 150 === 0 ? 1 : 2}` }))).toEqual([])
})
