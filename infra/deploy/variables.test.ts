import { expect, test } from 'vitest'
import { openHouse } from './test/open-house.ts'

test('.env.example says of each whether it is a secret, and what it is in development', async () => {
  await using house = await openHouse()
  const { files } = house
  expect(files.get('.env.example')).toContain(
    '# Of the payment provider\n# text; secret; in development sk_test_none (orders)\nPAYMENTS_KEY=\n',
  )
  expect(files.get('.env.example')).toContain('#PAYMENTS_LOG=quiet\n')
})
