import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import house from '../../vitest.config.ts'

/** The house's configuration, and a database that has the tables of the templates as well. */
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
