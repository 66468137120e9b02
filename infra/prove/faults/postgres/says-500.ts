import { plant } from '../plant.ts'

// An unavailable database is answered with 500, like any other error, and without `Retry-After`.
plant('packages/database/src/open-pool.ts', 'if (!isUnavailable(cause)) throw cause', 'throw cause')
