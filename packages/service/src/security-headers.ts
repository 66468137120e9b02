import type { ServiceEnv } from './service-env.ts'

/**
 * The headers of every answer, for a service that answers data and not pages. They are a constant, where
 * @fastify/helmet works them out anew for each request, at the price of the rest of a small request.
 *
 * @see https://cheatsheetseries.owasp.org/cheatsheets/HTTP_Headers_Cheat_Sheet.html
 */
export function securityHeaders(
  { PUBLIC_ORIGIN, HSTS_INCLUDE_SUBDOMAINS }: ServiceEnv,
  contentSecurityPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
): Record<string, string> {
  return {
    'content-security-policy': contentSecurityPolicy,
    'cross-origin-opener-policy': 'same-origin',
    'cross-origin-resource-policy': 'same-origin',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    // For browsers that do not read frame-ancestors.
    'x-frame-options': 'DENY',
    // Two years, and only where https is what browsers use anyway: it cannot be taken back.
    ...(PUBLIC_ORIGIN.startsWith('https://') && {
      'strict-transport-security': `max-age=63072000${HSTS_INCLUDE_SUBDOMAINS ? '; includeSubDomains' : ''}`,
    }),
  }
}
