import { fleet } from '@repo/testing'
import { expect, test } from 'vitest'

test('nobody is answered without signing in, by whichever process', async () => {
  await using service = await fleet(new URL('..', import.meta.url), { process: 'any-name' })
  for (const n of [1, 2]) {
    const answer = await service.request('/api/any-name/own-part')
    expect([answer.status, await answer.json()]).toMatchObject([401, { code: 'SIGNED_OUT' }])
    expect(answer.headers.get('x-process')).toBe(`any-name.${n}`)
  }
})
