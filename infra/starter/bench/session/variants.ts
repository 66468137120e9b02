/** One implementation of sessions: its server, and the environment of the server. */
export interface Variant {
  name: string
  file: string
  env: Record<string, string>
  store?: keyof Stores
}

/** The URLs of the stores that the servers of one run use. */
export interface Stores {
  redis?: string
  memcached?: string
  postgres?: string
}

const nonstick = (name: string, store: keyof Stores): Variant => ({
  name,
  file: 'nonstick.ts',
  env: {},
  store,
})

export const ours = {
  redis: nonstick('Nonstick, Redis', 'redis'),
  memcached: nonstick('Nonstick, Memcached', 'memcached'),
  postgres: nonstick('Nonstick, Postgres', 'postgres'),
}

/** In the order of the table. The hand-written route is the reference. */
export const variants: Variant[] = [
  { name: 'bare Fastify, no session', file: 'bare.ts', env: {} },
  { name: 'hand-written cookie + GETEX', file: 'hand-written.ts', env: {} },
  ...Object.values(ours),
  { name: '@fastify/session defaults, ioredis', file: 'fastify-session.ts', env: {} },
  { name: '@fastify/session lean, ioredis', file: 'fastify-session.ts', env: { LEAN: '1' } },
  {
    name: '@fastify/session defaults, connect-redis',
    file: 'fastify-session.ts',
    env: { CONNECT_REDIS: '1' },
  },
  {
    name: '@fastify/session lean, connect-redis',
    file: 'fastify-session.ts',
    env: { CONNECT_REDIS: '1', LEAN: '1' },
  },
  { name: 'Express 5, express-session, connect-redis', file: 'express-session.ts', env: {} },
]
