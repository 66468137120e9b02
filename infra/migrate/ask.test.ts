import { expect, test } from 'vitest'
import { renamesBy } from './ask.ts'

const likely = [
  { table: 'orders', from: 'title', to: 'name' },
  { from: 'orders', to: 'purchases' },
]

test('where nobody can be asked, it stops and says how to pass each answer', async () => {
  const choose = renamesBy({ rename: [], isDrop: false })
  await expect(choose(likely)).rejects.toThrow(
    'say which of these it is,\n  --rename orders.title=name\n  --rename orders=purchases\n',
  )
})

test('what is named is renamed, and the rest is dropped', async () => {
  expect(await renamesBy({ rename: ['orders.title=name'], isDrop: false })(likely)).toEqual([likely[0]])
  expect(await renamesBy({ rename: [], isDrop: true })(likely)).toEqual([])
})

test('a name that is none of them is an error', async () => {
  const choose = renamesBy({ rename: ['orders.titel=name'], isDrop: false })
  await expect(choose(likely)).rejects.toThrow(/There is no orders\.titel=name here/)
})
