import { RedisStore } from 'connect-redis'
import express from 'express'
import session from 'express-session'
import { createClient } from 'redis'
import { tenValues } from '../ten-values.ts'

// Express 5 with express-session and connect-redis, with the options that connect-redis's README recommends.
const client = await createClient({ url: process.env.REDIS_URL! }).connect()
const app = express()
app.use(
  session({
    store: new RedisStore({ client }),
    secret: 'a secret of at least thirty-two characters',
    resave: false,
    saveUninitialized: false,
    cookie: { maxAge: 1_800_000 },
  }),
)

app.post('/sign-in', (request, response, next) => {
  request.session.regenerate((error) => {
    if (error) return next(error)
    Object.assign(request.session, { user: 'ada', ...tenValues })
    response.json({ user: 'ada' })
  })
})

app.get('/public', (_, response) => void response.json({ user: null }))

app.get('/read', (request, response) => {
  const { user, value3 } = request.session
  if (user == null) return void response.sendStatus(401)
  response.json({ user, value: value3 })
})

app.post('/write', (request, response) => {
  if (request.session.user == null) return void response.sendStatus(401)
  request.session.written = String(Date.now())
  response.json({ user: request.session.user })
})

app.listen(Number(process.env.PORT))
