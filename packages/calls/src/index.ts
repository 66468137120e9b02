// keep: calls
export { createCallee, type Call, type Callee, type Work } from './call.ts'
// /keep
export { callsEnv } from './calls-env.ts'
export { ServiceBroke, ServiceBusy, ServiceTimeout, ServiceUnavailable } from './errors.ts'
export { exchange, ExchangeFailed, isRead, type Answer, type UpstreamRequest } from './exchange.ts'
export { openRotation } from './rotation.ts'
export type { UpstreamProcess } from './upstream-process.ts'
export { openUpstreams, type Upstreams } from './upstreams.ts'
