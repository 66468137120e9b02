import type { Random } from '../random.ts'

/** A route of an OpenAPI document, such as `POST /api/orders/{id}`. */
export interface Route {
  method: string
  path: string
}

/** Malformed requests, by kind. Nearly all of them ask to close the connection. */
export const kinds: Record<string, (random: Random, routes: readonly Route[]) => string> = {
  'broken HTTP': (random) => random.pick(BROKEN_HTTP)!,

  'broken bodies': (random, routes) => {
    const { path } = random.pick(routes)!
    const type = random.pick([
      'application/json',
      'application/json; charset=utf-7',
      'multipart/form-data',
      'text/x',
      '',
    ])!
    const method = random.pick(['POST', 'PUT', 'PATCH'])!
    return request(method, fill(path, random), { 'content-type': type }, random.pick(BODIES)!)
  },

  'forged cookies': (random, routes) => {
    const { path } = random.pick(routes)!
    const name = random.pick(['session-80', '__Host-session', 'sid', random.next().toString(36)])!
    const value = random.pick(VALUES)!
    const cookie = random.pick([
      `${name}=${value}`,
      `${name}=${value}; ${name}=${random.pick(VALUES)}`,
      value,
      `${name}=`,
    ])!
    return request('GET', fill(path, random), { cookie })
  },

  'path tricks': (random, routes) => {
    const { path } = random.pick(routes)!
    const at = Math.floor(random.next() * path.length)
    return request('GET', path.slice(0, at) + random.pick(TRICKS)! + path.slice(at), {})
  },

  'fuzzed routes': (random, routes) => {
    const { method, path } = random.pick(routes)!
    const query =
      random.next() < 0.5 ? `?${noise(random)}=${noise(random)}&limit=${random.pick(SCALARS)}` : ''
    const body = JSON.stringify(anything(random, 3))
    const content = method === 'GET' || method === 'DELETE' ? undefined : body
    return request(method, fill(path, random) + query, { 'content-type': 'application/json' }, content)
  },
}

const LONG = 'a'.repeat(20_000)
const END = '\r\nhost: localhost\r\nconnection: close\r\n'

const BROKEN_HTTP = [
  'hello\r\n\r\n',
  '\0\0\0\0\r\n\r\n',
  'GET\r\n\r\n',
  'GET / HTTP/9.9\r\n\r\n',
  'GET / HTTP/1.1\r\n\r\n',
  `GET http://elsewhere.example/ HTTP/1.1${END}\r\n`,
  `FETCH / HTTP/1.1${END}\r\n`,
  `GET /${LONG} HTTP/1.1${END}\r\n`,
  `GET / HTTP/1.1${END}x: ${LONG}${LONG}\r\n\r\n`,
  `GET / HTTP/1.1${END}no colon here\r\n\r\n`,
  `GET / HTTP/1.1${END}a\0b: c\r\n\r\n`,
  `GET / HTTP/1.1${END} folded: header\r\n\r\n`,
  `POST /api/accounts/sign-in HTTP/1.1${END}content-length: -1\r\n\r\n`,
  `POST /api/accounts/sign-in HTTP/1.1${END}content-length: 5\r\ncontent-length: 6\r\n\r\n{}`,
  `POST /api/accounts/sign-in HTTP/1.1${END}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
  `POST /api/accounts/sign-in HTTP/1.1${END}transfer-encoding: chunked\r\n\r\nzz\r\n`,
  `POST /api/accounts/sign-in HTTP/1.1${END}transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  `POST /api/accounts/sign-in HTTP/1.1${END}expect: something\r\ncontent-length: 2\r\n\r\n{}`,
  `GET / HTTP/1.1${END}upgrade: websocket\r\nconnection: upgrade\r\n\r\n`,
  'CONNECT localhost:22 HTTP/1.1\r\nhost: localhost:22\r\n\r\n',
]

const BODIES = [
  '{',
  '{"a":',
  'null',
  '[]',
  '"text"',
  '1e999',
  '{"__proto__":{"isAdmin":true}}',
  '{"constructor":{"prototype":{"isAdmin":true}}}',
  '\u00ef\u00bb\u00bf{}',
  `${'['.repeat(5000)}`,
  `{"url":"${LONG}"}`,
  '{"url":"\\u0000"}',
  '{"email":"\\ud800@x.example","password":"\\ud800\\ud800\\ud800\\ud800"}',
  '--x\r\ncontent-disposition: form-data; name="file"\r\n\r\n',
  '',
]

const VALUES = [
  'x',
  '%',
  '%E0%A4%A',
  '%00',
  '"quoted"',
  's%3Aabc.def',
  `${'A'.repeat(43)}.${'B'.repeat(43)}`,
  `${'A'.repeat(43)}.`,
  '.'.repeat(100),
  'A'.repeat(6000),
  'é',
  '[object Object]',
  '__proto__',
]

const TRICKS = [
  '/',
  '//',
  '/../',
  '/%2e%2e/',
  '/..%2f',
  '%2f',
  '%5c',
  '\\',
  '%00',
  '%',
  '%zz',
  '%ff',
  ';a=b',
  '#',
  '?',
  '%0d%0aset-cookie:a=b',
  '/.',
  'é',
  '~',
  '*',
]

const SCALARS = [
  '0',
  '-1',
  '1e9',
  'NaN',
  '',
  '9'.repeat(40),
  '%00',
  '%',
  'true',
  '{}',
  "'",
  '"',
  '[]',
  '../..',
  '\u00ff',
]

function request(method: string, path: string, headers: Record<string, string>, body?: string): string {
  const length = body === undefined ? {} : { 'content-length': `${Buffer.byteLength(body, 'latin1')}` }
  const lines = Object.entries({ ...headers, ...length }).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${method} ${path.replaceAll(' ', '%20')} HTTP/1.1${END}${lines.join('')}\r\n${body ?? ''}`
}

function fill(path: string, random: Random): string {
  return path.replaceAll(/\{\w+\}/g, () => encodeURI(random.pick(SCALARS)! || 'x'))
}

function noise(random: Random): string {
  return random
    .next()
    .toString(36)
    .slice(2, 2 + Math.floor(random.next() * 8))
}

function anything(random: Random, depth: number): unknown {
  const simple = [
    null,
    true,
    -1,
    1e308,
    0.1,
    '',
    'text',
    '\0',
    LONG.slice(0, 3000),
    'https://prove.example/',
    'a@b.example',
  ]
  const chance = random.next()
  if (depth === 0 || chance < 0.4) return random.pick(simple)
  if (chance < 0.5) return [anything(random, depth - 1), anything(random, depth - 1)]
  const names = [
    'url',
    'title',
    'notes',
    'tags',
    'email',
    'password',
    'current',
    'next',
    '__proto__',
    'constructor',
    noise(random),
  ]
  return Object.fromEntries([1, 2, 3].map(() => [random.pick(names)!, anything(random, depth - 1)]))
}
