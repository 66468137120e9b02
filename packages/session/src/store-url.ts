import { StoreUrlInvalid } from './session-error.ts'

export interface Host {
  host: string
  port: number
}

export interface RedisUrl {
  kind: 'alone' | 'cluster' | 'sentinel'
  isTls: boolean
  hosts: Host[]
  username: string
  password: string
  /** The master's name at the sentinels. Empty without Sentinel. */
  master: string
  database: number
}

/**
 * Parses one server of a URL: `host`, `host:port` or `[::1]:port`. The brackets are not part of the returned host.
 *
 * @throws SESSION_STORE_URL_INVALID
 */
export function parseHost(text: string, defaultPort: number): Host {
  const url = URL.parse(`store://${text}`)
  if (!url?.hostname) throw new StoreUrlInvalid('a host')
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(url.port || defaultPort) }
}

/**
 * Parses `redis://login@host/database`, `redis+cluster://login@a,b,c` and `redis+sentinel://login@a,b,c/master/database`;
 * `rediss` is for TLS. The standard for URLs allows only one host. Special characters in the login are percent-encoded.
 *
 * @throws SESSION_STORE_URL_INVALID
 */
export function parseRedisUrl(url: string): RedisUrl {
  const form = /^redis(s?)(?:\+(cluster|sentinel))?:\/\/(?:(.*)@)?([^/?]+)((?:\/[^/?]*)*)/
  const [, s, kind = 'alone', login = '', hosts = '', path = ''] = form.exec(url) ?? []
  const segments = path.split('/').slice(1)
  const master = kind === 'sentinel' ? (segments.shift() ?? '') : ''
  const [database = '', ...rest] = segments
  if (master === '' && kind === 'sentinel') throw new StoreUrlInvalid('the name of the master')
  if (!/^\d*$/.test(database) || rest.some(Boolean))
    throw new StoreUrlInvalid('a database, which is a number')
  const colon = login.indexOf(':')
  const defaultPort = kind === 'sentinel' ? 26379 : 6379
  return {
    kind: kind as RedisUrl['kind'],
    isTls: s === 's',
    hosts: hosts.split(',').map((host) => parseHost(host, defaultPort)),
    username: decode(colon === -1 ? login : login.slice(0, colon)),
    password: colon === -1 ? '' : decode(login.slice(colon + 1)),
    master: decode(master),
    database: Number(database),
  }
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new StoreUrlInvalid('a login: "%" is written %25')
  }
}
