import type { FastifyInstance, FastifyRequest, HookHandlerDoneFunction as Done } from 'fastify'
import fp from 'fastify-plugin'
import { createTokenVerifier, TOKEN_HEADER, type Caller } from './service-token.ts'

export interface AcceptCallsOptions {
  /** This service, as its callers call it: the audience of their tokens. */
  name: string
  /** Newest first. Each of them verifies. */
  secrets: readonly string[]
}

declare module 'fastify' {
  interface FastifyRequest {
    /** The service that has sent the request; undefined when it is a client, or nobody knows. */
    caller: Caller | undefined
  }
}

/** Exists in a service of @repo/service. It runs the check, and answers as for an unknown path when the check throws. */
interface AccessChecks {
  addAccessCheck(kind: 'service', check: (request: FastifyRequest) => void): void
}

async function acceptCallsPlugin(app: FastifyInstance, { name, secrets }: AcceptCallsOptions): Promise<void> {
  const verify = createTokenVerifier({ audience: name, secrets })

  function readToken(request: FastifyRequest, _reply: unknown, done: Done): void {
    const { headers } = request.raw
    const token = headers[TOKEN_HEADER]
    if (token === undefined) return done()
    // Nothing after this can log it, or send it on.
    delete headers[TOKEN_HEADER]
    // Services call each other without a proxy. An ingress leads clients to a service, and does not remove their headers.
    if (headers['x-forwarded-for'] !== undefined || headers.forwarded !== undefined) return done()
    verify(String(token)).then(
      (caller) => {
        request.caller = caller
        done()
      },
      (error: Error & { code?: string }) => {
        request.log.warn({ reason: error.code ?? error.message }, 'The token of a service is not valid')
        done()
      },
    )
  }

  app.decorateRequest('caller', undefined)
  app.addHook('onRequest', readToken)
  const service = app as unknown as AccessChecks
  service.addAccessCheck('service', function requireCaller({ caller }) {
    if (!caller) throw new Error('No service has sent this request')
  })
}

/** The plugin of a service that others call: `request.caller`, and the check of routes whose `access` is `service`. */
export const acceptCalls = fp(acceptCallsPlugin, { name: 'accept-calls', fastify: '5.x' })
