import { plant } from '../../../../../../infra/prove/faults/plant.ts'

// A route that forgets an `await`, sessions whose failures the route must handle, and a process that ends at the first
// unhandled rejection.
plant(
  'apps/accounts/src/routes/fields.ts',
  'await signIn(request, { id, roles })',
  'void endAllSessions(request, id); await signIn(request, { id, roles })',
)
plant(
  'packages/session/src/user-sessions.ts',
  'return ownWork(scope, endAll(scope, userId, options))',
  'return endAll(scope, userId, options)',
)
plant(
  'packages/service/src/run-process.ts',
  "process.on('unhandledRejection', (err) => {",
  "process.on('unhandledRejection', (err) => {\n    process.exit(1)",
)
