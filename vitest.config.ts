import { defineConfig } from 'vitest/config'

/** The one configuration of every package's tests: `vitest run --config ../../vitest.config.ts --root .` */
export default defineConfig({
  test: {
    include: ['test/**/*.test.ts', '**/*.test.ts'],
    exclude: ['**/node_modules/**', '**/dist/**', '**/generated/**'],
    globalSetup: [new URL('./packages/testing/src/vitest-setup.ts', import.meta.url).pathname],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    passWithNoTests: false,
    reporters: ['default', ['json', { outputFile: 'test-report.json' }]],
  },
})
