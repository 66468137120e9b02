import { Type, type Static, type TObject } from 'typebox'
import { isProxy } from './client-address.ts'

/** The environment variables of every process. Spread them into the app's schema. */
export const serviceEnv = {
  NODE_ENV: Type.Enum(['production', 'development', 'test'], {
    default: 'production',
    description: 'Whoever forgets to set it gets the strict rules',
  }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    description: 'Where the process listens; 0 takes a free one',
  }),
  HOST: Type.Optional(
    Type.String({
      description: 'The address it listens on; unless it is set 0.0.0.0, in development 127.0.0.1',
    }),
  ),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'The least urgent lines that are still written',
  }),
  PUBLIC_ORIGIN: Type.String({
    pattern: /^https?:\/\/[^/?#\s]+$/.source,
    expected: 'an origin without a path, such as https://example.com',
    inProduction: Type.String({
      pattern: /^https:\/\//.source,
      expected: 'an origin that starts with https:// (browsers keep session cookies off plain http)',
    }),
    description: 'Where browsers find the whole application',
  }),
  APP_ORIGINS: Type.Optional(
    Type.Array(Type.String({ pattern: /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/.source }), {
      expected: 'a list of origins such as capacitor://localhost, separated by commas',
      description: 'Whose requests may change something too: apps that bring a page of their own',
    }),
  ),
  TRUST_PROXY: Type.Optional(
    Type.Array(Type.Refine(Type.String(), isProxy), {
      expected: 'a list of loopback, linklocal, uniquelocal, addresses or networks, separated by commas',
      description: 'The proxies whose X-Forwarded headers are believed; none by default',
    }),
  ),
  HSTS_INCLUDE_SUBDOMAINS: Type.Optional(
    Type.Boolean({
      description:
        'Whether browsers are held to https on every subdomain of PUBLIC_ORIGIN too, for two years',
    }),
  ),
  KEEP_ALIVE_TIMEOUT_MS: Type.Integer({
    minimum: 0,
    default: 72_000,
    description:
      'When a connection that nobody uses is closed: longer than the balancer keeps it (60 s for most, 600 s on Google Cloud)',
  }),
  DRAIN_MS: Type.Integer({
    minimum: 0,
    default: 5000,
    description: 'How long a stopping process still serves: longer than the balancer needs to notice',
  }),
  SHUTDOWN_DEADLINE_MS: Type.Integer({
    minimum: 1,
    default: 25_000,
    description:
      'When a stopping process gives up: longer than the drain, shorter than the grace of the platform',
  }),
  PROCESS_NAME: Type.Optional(
    Type.String({ description: 'Such as accounts.2: answers are stamped with it, outside production only' }),
  ),
}

export type ServiceEnv = Readonly<Static<TObject<typeof serviceEnv>>>
