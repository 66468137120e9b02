export { LimitReached, LimitStoreUnavailable } from './limit-error.ts'
export { migrateLimits, type LimitStore } from './limit-store.ts'
export { limits, type Limit, type LimitsOptions } from './limits.ts'
