import type { ServiceEnv } from '../src/index.ts'

export const testEnv: ServiceEnv = {
  NODE_ENV: 'test',
  PORT: 0,
  HOST: '127.0.0.1',
  LOG_LEVEL: 'silent',
  PUBLIC_ORIGIN: 'https://example.com',
  KEEP_ALIVE_TIMEOUT_MS: 72_000,
  DRAIN_MS: 0,
  SHUTDOWN_DEADLINE_MS: 1000,
}
