import { problemResponses, type Service } from '@repo/service'
import { currentUser, SignedOut } from '@repo/session'
import { Type } from 'typebox'
import { greet } from '../domain/greet.ts'

/** A greeting for the user who is signed in. */
export async function greetingRoutes(app: Service): Promise<void> {
  app.get(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'A greeting',
        response: { 200: Type.Object({ greeting: Type.String() }), ...problemResponses(SignedOut) },
      },
    },
    async (request) => ({ greeting: greet(currentUser(request).id) }),
  )
}
