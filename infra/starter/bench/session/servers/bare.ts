import Fastify from 'fastify'
import { tenValues } from '../ten-values.ts'

// The lower bound: the same answers without a session.
const app = Fastify()
app.post('/sign-in', () => ({ user: 'ada' }))
app.get('/public', () => ({ user: null }))
app.get('/read', () => ({ user: 'ada', value: tenValues.value3 }))
app.post('/write', () => ({ user: 'ada' }))
await app.listen({ port: Number(process.env.PORT) })
