import { expect, test } from 'vitest'
import { createService } from '../src/index.ts'
import { testEnv } from './test-env.ts'

test('a route with a limit that nothing counts stops the boot, by name', () => {
  const app = createService({ name: 'service', env: testEnv })
  const config = { access: 'public', limit: { max: 1, per: 'network', windowMs: 1000 } } as const

  expect(() => app.post('/items', { config }, async () => 'written')).toThrow(
    expect.objectContaining({
      code: 'ROUTE_LIMIT_UNCOUNTED',
      message: expect.stringContaining('POST /items'),
    }),
  )
})
