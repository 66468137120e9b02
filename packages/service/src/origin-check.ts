import type { FastifyInstance } from 'fastify'
import { OriginRejected } from './errors.ts'

const SAFE_METHODS = new Set(['GET', 'HEAD', 'OPTIONS', 'QUERY', 'TRACE'])

/**
 * Refuses what another site's page makes a browser send in our user's name. Browsers say where a request comes
 * from and pages cannot forge it; programs such as curl say nothing, hold nobody's cookies, and pass.
 *
 * @see https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site
 */
export function checkOrigin(app: FastifyInstance, origins: readonly string[]): void {
  app.addHook('onRequest', (request, _reply, done) => {
    const { origin, 'sec-fetch-site': site } = request.headers
    const isOurs =
      SAFE_METHODS.has(request.method) ||
      (origin !== undefined && origins.includes(origin)) ||
      site === 'same-origin' ||
      site === 'none' ||
      (site === undefined && origin === undefined)
    done(isOurs ? undefined : new OriginRejected())
  })
}
