import Fastify from 'fastify'
import { tenValues } from '../ten-values.ts'

// The floor: the same answers without any session.
const app = Fastify()
app.post('/sign-in', () => ({ user: 'ada' }))
app.get('/public', () => ({ user: null }))
app.get('/read', () => ({ user: 'ada', value: tenValues.value3 }))
app.post('/write', () => ({ user: 'ada' }))
await app.listen({ port: Number(process.env.PORT) })
