import type { Service } from '@repo/service'
import { Type } from 'typebox'

export async function anyPartRoutes(app: Service): Promise<void> {
  app.get(
    '/',
    {
      config: { access: 'public' },
      schema: {
        summary: 'What there is',
        response: { 200: Type.Object({ found: Type.Array(Type.String()) }) },
      },
    },
    async () => ({ found: [] }),
  )
}
