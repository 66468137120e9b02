import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

// A line on stdin means that the folder is removed. The end of stdin means that this process died before. Processes that
// still write to the folder are about to end too (`spawn-tethered.ts`), so the removal may need several tries.
const WATCH = `
  read -r removed && exit
  tries=0
  until rm -rf "$1" || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.2; done
`

/** Creates a folder that is removed on disposal, and also when this process is killed before. */
export async function openTemporaryFolder(name: string): Promise<TemporaryFolder> {
  const path = await mkdtemp(join(tmpdir(), `nonstick-${name}-`))
  const watcher = spawn('/bin/sh', ['-c', WATCH, 'temporary-folder', path], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.stdin.on('error', () => {})
  const ended = once(watcher, 'exit')
  return {
    path,
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true, maxRetries: 5 })
      watcher.stdin.end('\n')
      await ended
    },
  }
}
