import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const run = promisify(execFile)
const entry = fileURLToPath(new URL('fixtures/main.ts', import.meta.url))

test('a good environment is handed to the process', async () => {
  const { stdout } = await run(process.execPath, [entry], { env: { PORT: '3000', TOKEN: 'x'.repeat(32) } })

  expect(JSON.parse(stdout)).toEqual({ PORT: 3000 })
})

test('a wrong one ends it with code 78, a line per variable and no value', async () => {
  const failure = await run(process.execPath, [entry], { env: { PORT: 'hunter2' } }).catch((error) => error)

  expect(failure).toMatchObject({
    code: 78,
    stdout: '',
    stderr:
      'PORT is not a whole number of at least 0\nTOKEN is missing, expected text of at least 32 characters\n',
  })
})
