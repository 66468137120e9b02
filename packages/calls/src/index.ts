// keep: calls
export { acceptCalls, type AcceptCallsOptions } from './accept-calls.ts'
export { createCallee, type Call, type Callee, type Work } from './call.ts'
export { acceptCallsEnv, callSecretsEnv } from './calls-env.ts'
export { CallSecretsWeak } from './errors.ts'
export { createTokenIssuer, TOKEN_HEADER, type Caller, type TokenIssuer } from './service-token.ts'
// /keep
export { callsEnv } from './calls-env.ts'
export { ServiceBroke, ServiceBusy, ServiceTimeout, ServiceUnavailable } from './errors.ts'
export { exchange, ExchangeFailed, isRead, type Answer, type UpstreamRequest } from './exchange.ts'
export { openRotation } from './rotation.ts'
export type { UpstreamProcess } from './upstream-process.ts'
export { openUpstreams, type Upstreams } from './upstreams.ts'
