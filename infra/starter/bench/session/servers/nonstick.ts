import Fastify from 'fastify'
import { openSessionStore, session, signIn } from '../../../../../packages/session/src/index.ts'
import { tenValues } from '../ten-values.ts'

// Ours, with all its guarantees, on the store that STORE_URL names.
// The long deadline: a short delay of the store is measured, and not answered with 503.
const store = await openSessionStore(process.env.STORE_URL!, { deadlineMs: 10_000 })
const app = Fastify()
await app.register(session, {
  store,
  secrets: ['a secret of at least thirty-two characters'],
  origin: 'http://localhost',
})

app.post('/sign-in', { config: { access: 'public' } }, async (request) => {
  Object.assign(request.session, tenValues)
  await signIn(request, { id: 'ada' })
  return { user: 'ada' }
})

app.get('/public', { config: { access: 'public' } }, () => ({ user: null }))

app.get('/read', { config: { access: 'user' } }, (request) => {
  const { user, value3 } = request.session as unknown as Record<string, unknown> & { user: { id: string } }
  return { user: user.id, value: value3 }
})

app.post('/write', { config: { access: 'user' } }, (request) => {
  Object.assign(request.session, { written: String(Date.now()) })
  return { user: request.session.user!.id }
})

await app.listen({ port: Number(process.env.PORT) })
