/** One way to keep a session: a server of its own, and what it needs to know. */
export type Variant = { name: string; file: string; env: Record<string, string>; store?: keyof Stores }

/** Where the stores of one run listen. */
export type Stores = { redis: string; memcached: string; postgres: string }

const nonstick = (name: string, store: keyof Stores): Variant => ({
  name,
  file: 'nonstick.ts',
  env: {},
  store,
})

/** In the order of the table. The hand-written route is what the others are measured against. */
export const variants: Variant[] = [
  { name: 'bare Fastify, no session', file: 'bare.ts', env: {} },
  { name: 'hand-written cookie + GETEX', file: 'hand-written.ts', env: {} },
  nonstick('Nonstick, Redis', 'redis'),
  nonstick('Nonstick, Memcached', 'memcached'),
  nonstick('Nonstick, Postgres', 'postgres'),
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

export const reference = 'hand-written cookie + GETEX'
