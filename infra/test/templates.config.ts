import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import house from '../../vitest.config.ts'

/** The configuration of all members, with a database that also has the tables of the template. */
export default defineConfig({
  ...house,
  test: {
    ...house.test,
    globalSetup: [
      ...[house.test?.globalSetup ?? []].flat(),
      fileURLToPath(new URL('./templates-setup.ts', import.meta.url)),
    ],
  },
})
