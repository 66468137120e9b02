import { problemResponses, type Service } from '@repo/service'
import { currentUser, SignedOut } from '@repo/session'
import { Type } from 'typebox'

export async function ownPartRoutes(app: Service): Promise<void> {
  app.get(
    '/',
    {
      config: { access: 'user' },
      schema: {
        summary: 'What there is of mine',
        response: { 200: Type.Object({ userId: Type.String() }), ...problemResponses(SignedOut) },
      },
    },
    async (request) => ({ userId: currentUser(request).id }),
  )
}
