import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// `pnpm test:long` runs the tests that take long: processes are killed, servers freeze, time passes, and something is
// measured. `pnpm test` stays below three minutes on two cores.
const LONG = '**/*.long.test.ts'

// PGSSLMODE and the like are meant for another server than that of the tests, and the pg client would use them.
for (const name of Object.keys(process.env)) if (name.startsWith('PG')) delete process.env[name]

/** The configuration of every member's tests: `vitest run --config ../../vitest.config.ts --root .` */
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
    // `pnpm test` runs several members at the same time, and many tests start processes of their own.
    maxWorkers: '50%',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // The machines of CI are shared. The summary names each test that passed only at its second try.
    retry: process.env.CI ? 1 : 0,
    passWithNoTests: false,
    reporters: ['default', ['json', { outputFile: 'test-report.json' }]],
  },
})
