import { createDatabase } from '@repo/testing'
import { expect, test } from 'vitest'
import { openDatabase } from '../src/database.ts'

test('an address is stored in small letters or not at all', async () => {
  await using server = await createDatabase('accounts')
  await using database = openDatabase(server.url)
  const data = { email: 'Ada@example.com', passwordHash: '' }
  await expect(database.user.create({ data })).rejects.toThrow(/users_email_lower_case/)
})
