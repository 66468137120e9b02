import { Type, type Static, type TObject } from 'typebox'
import { isProxy } from './client-address.ts'

/** The environment variables of every process. Spread them into the app's schema. */
export const serviceEnv = {
  NODE_ENV: Type.Enum(['production', 'development', 'test'], {
    default: 'production',
    description: 'The default, production, has the strictest rules',
  }),
  PORT: Type.Integer({
    minimum: 0,
    maximum: 65_535,
    description: 'The port that the process listens on; 0 means any free port',
  }),
  HOST: Type.Optional(
    Type.String({
      description:
        'The address that the process listens on; by default 0.0.0.0, and 127.0.0.1 in development',
    }),
  ),
  LOG_LEVEL: Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
    default: 'info',
    description: 'The lowest level of log lines that are written',
  }),
  PUBLIC_ORIGIN: Type.String({
    pattern: /^https?:\/\/[^/?#\s]+$/.source,
    expected: 'an origin without a path, such as https://example.com',
    inProduction: Type.String({
      pattern: /^https:\/\//.source,
      expected: 'an origin that starts with https:// (browsers keep session cookies off plain http)',
    }),
    description: 'The origin of the whole application, as browsers see it',
  }),
  APP_ORIGINS: Type.Optional(
    Type.Array(Type.String({ pattern: /^[a-z][a-z0-9+.-]*:\/\/[^/?#\s]+$/.source }), {
      expected: 'a list of origins such as capacitor://localhost, separated by commas',
      description:
        'Further origins whose requests may change data: those of apps that bring a page of their own',
    }),
  ),
  TRUST_PROXY: Type.Optional(
    Type.Array(Type.Refine(Type.String(), isProxy), {
      expected: 'a list of loopback, linklocal, uniquelocal, addresses or networks, separated by commas',
      description: 'The proxies whose X-Forwarded headers are trusted; none by default',
    }),
  ),
  HSTS_INCLUDE_SUBDOMAINS: Type.Optional(
    Type.Boolean({
      description: 'Whether browsers must also use https on every subdomain of PUBLIC_ORIGIN, for two years',
    }),
  ),
  KEEP_ALIVE_TIMEOUT_MS: Type.Integer({
    minimum: 0,
    default: 72_000,
    description:
      'When an idle connection is closed: later than the load balancer closes it (60 s for most, 600 s on Google Cloud)',
  }),
  DRAIN_MS: Type.Integer({
    minimum: 0,
    default: 5000,
    description:
      'How long a stopping process still takes requests: longer than the load balancer needs to notice',
  }),
  SHUTDOWN_DEADLINE_MS: Type.Integer({
    minimum: 1,
    default: 25_000,
    description:
      'When a stopping process exits in any case: longer than the drain, shorter than the grace period of the platform',
  }),
  PROCESS_NAME: Type.Optional(
    Type.String({
      description:
        'Such as accounts.2: each answer names it in the header x-process, outside production only',
    }),
  ),
}

export type ServiceEnv = Readonly<Static<TObject<typeof serviceEnv>>>
