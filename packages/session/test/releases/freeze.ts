import { parseArgs } from 'node:util'
import { build } from 'vite'

// Freezes the present package as one file, which the tests run beside later releases. Run `node test/releases/freeze.ts 2`
// once, when the stored form of a release differs from that of the last.
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
