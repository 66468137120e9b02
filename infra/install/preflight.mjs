// Prints one sentence when this machine's Node is too old, instead of a stack trace from the first TypeScript file.
// It is plain JavaScript, which an old Node can read. It runs after every install, with the Node that runs pnpm.
import { spawnSync } from 'node:child_process'
import { readFileSync, rmSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = resolve(process.argv[2] ?? join(fileURLToPath(import.meta.url), '../../..'))
const installed = join(root, 'node_modules/.bin/node')

// pnpm prefers this Node to the machine's own. It exists for glibc and macOS. Elsewhere it is absent, or does not start.
const { status, stderr } = spawnSync(installed, ['--version'], { encoding: 'utf8' })
if (status !== 0) {
  rmSync(installed, { force: true })
  const { engines } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [, oldest] = /^>=(\d+)$/.exec(engines.node)
  const [own] = process.versions.node.split('.')
  if (Number(own) < Number(oldest)) {
    // Since Node 25 libatomic may be missing, which is in Debian's libatomic1.
    const why = stderr ? ` (${stderr.trim().split('\n')[0]})` : ''
    console.error(
      `Node ${oldest} or newer is needed. This machine has ${process.version}, and npm has no Node for ` +
        `${process.platform} ${process.arch} that starts here${why}: install one from https://nodejs.org/download`,
    )
    process.exitCode = 1
  }
}
