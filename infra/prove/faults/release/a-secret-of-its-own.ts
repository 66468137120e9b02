import { randomBytes } from 'node:crypto'

// A release that makes its own secret at start: it knows nobody whom the one before has let in.
process.env.SESSION_SECRETS &&= randomBytes(32).toString('base64url')
