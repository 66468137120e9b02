import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

export interface TemporaryFolder extends AsyncDisposable {
  readonly path: string
}

// A line on stdin means that the folder has been removed, the end of stdin that we died before we could. Whoever still
// writes to it is about to end as well (`spawn-tethered.ts`), so removing it may take some tries.
const WATCH = `
  read -r removed && exit
  tries=0
  until rm -rf "$1" || [ $tries -ge 100 ]; do tries=$((tries + 1)); sleep 0.2; done
`

/** A folder that is gone after disposal, and also when this process is killed before that. */
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
