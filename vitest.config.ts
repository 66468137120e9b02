import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// A run of its own, `pnpm test:long`, has what takes long: processes that are killed, servers that freeze, time that passes,
// and whatever is measured. `pnpm test` stays below three minutes on two cores.
const LONG = '**/*.long.test.ts'

// PGSSLMODE and its like are meant for another server than the one of the tests, and the pg client would follow them.
for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name]

/** The one configuration of every member's tests: `vitest run --config ../../vitest.config.ts --root .` */
export default defineConfig({
  test: {
    include: [process.env.TEST_LONG ? LONG : '**/*.test.ts'],
    exclude: [
      '**/node_modules/**',
      '**/dist/**',
      '**/generated/**',
      ...(process.env.TEST_LONG ? [] : [LONG]),
    ],
    globalSetup: [fileURLToPath(new URL('./packages/testing/src/vitest-setup.ts', import.meta.url))],
    setupFiles: [fileURLToPath(new URL('./packages/testing/src/expect-no-leaks.ts', import.meta.url))],
    // `pnpm test` runs two members at once, and many tests start processes of their own.
    maxWorkers: '50%',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // On a machine that is shared, as those of CI are. A test that needed its second try is named in the summary.
    retry: process.env.CI ? 1 : 0,
    passWithNoTests: false,
    reporters: ['default', ['json', { outputFile: 'test-report.json' }]],
  },
})
