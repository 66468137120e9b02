import { parseArgs } from 'node:util'
import { build } from 'vite'

// Freezes the package as it is now, as one file that the tests run beside the releases to come:
// `node test/releases/freeze.ts 2`, once, when a release goes out whose stored form differs from the last.
const { positionals } = parseArgs({ allowPositionals: true })
const name = `release-${Number(positionals[0])}`

await build({
  configFile: false,
  logLevel: 'warn',
  build: {
    target: 'node24',
    ssr: 'test/behaviours/behaviour-server.ts',
    outDir: 'test/releases',
    emptyOutDir: false,
    minify: true,
    rolldownOptions: {
      output: {
        entryFileNames: `${name}.js`,
        codeSplitting: false,
        banner: `// ${name} of @repo/session, frozen. Never edited.`,
      },
    },
  },
})
