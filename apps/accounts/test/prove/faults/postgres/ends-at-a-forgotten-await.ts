import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A route that forgets an `await`, in a process that ends at the first unhandled rejection.
plant(
  'apps/accounts/src/routes/accounts.ts',
  'async (request) => ({ user: await readUser(',
  'async (request) => (void accounts.database.check(), { user: await readUser(',
)
plant(
  'packages/service/src/run-process.ts',
  "process.on('unhandledRejection', (err) => {",
  "process.on('unhandledRejection', (err) => {\n    process.exit(1)",
)
