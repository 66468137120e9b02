import { randomBytes } from 'node:crypto'

// A release that creates its own secret at start: it does not know users who signed in to the release before.
process.env.SESSION_SECRETS &&= randomBytes(32).toString('base64url')
