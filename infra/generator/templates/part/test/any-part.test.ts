import { fleet } from '@repo/testing'
import { expect, test } from 'vitest'

test('every process answers whoever asks', async () => {
  await using service = await fleet(new URL('..', import.meta.url), { process: 'any-name' })
  for (const n of [1, 2]) {
    const answer = await service.request('/api/any-name/any-part')
    expect([answer.status, await answer.json()]).toEqual([200, { found: [] }])
    expect(answer.headers.get('x-process')).toBe(`any-name.${n}`)
  }
})
