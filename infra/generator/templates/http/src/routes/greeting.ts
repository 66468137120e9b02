import type { Service } from '@repo/service'
import { Type } from 'typebox'
import { greet } from '../domain/greet.ts'

/** A greeting for everyone. */
export async function greetingRoutes(app: Service): Promise<void> {
  app.get(
    '/',
    {
      config: { access: 'public' },
      schema: {
        summary: 'A greeting',
        querystring: Type.Object({ name: Type.String({ maxLength: 100, default: '' }) }),
        response: { 200: Type.Object({ greeting: Type.String() }) },
      },
    },
    async (request) => ({ greeting: greet(request.query.name) }),
  )
}
