import { plant } from '../plant.ts'

// A database that is away is an error like any other: nobody is told to come back.
plant('packages/database/src/open-pool.ts', 'if (!isUnavailable(cause)) throw cause', 'throw cause')
