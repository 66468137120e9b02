import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { freePort, isListening } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered } from '@repo/testing/spawn-tethered'

/** A fresh clone of the last commit, as after `git clone`. */
export interface FreshClone extends Disposable {
  folder: string
  /** The port of `pnpm dev`. */
  port: number
  /** The environment for commands in the clone: ours, without our stores and without npm's folders. */
  env: NodeJS.ProcessEnv
  /** Starts `npx pnpm dev`. Resolves when it prints that it is ready; rejects with its output when it ends before. */
  startDev(env?: Record<string, string>): Promise<Dev>
}

interface Dev {
  url: string
  secondsToReady: number
  said(): string
  stop(): Promise<void>
}

/** Variables that npm and pnpm set for this script: their folders, and that nothing is to be installed. */
const OF_THIS_SCRIPT = [
  'npm_config_cache',
  'npm_config_prefix',
  'npm_config_global_prefix',
  'npm_config_local_prefix',
  'npm_config_userconfig',
  'npm_config_init_module',
  'pnpm_config_verify_deps_before_run',
]

const unset = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, undefined]))

/** @param name the path of its folder: `my apps/nonstick` */
export async function openFreshClone(name = 'nonstick'): Promise<FreshClone> {
  const parent = mkdtempSync(join(tmpdir(), 'nonstick-fresh-'))
  const folder = join(parent, name)
  const port = await freePort()
  const env = {
    ...process.env,
    PORT: `${port}`,
    DATABASE_URL: undefined,
    SESSION_STORE_URL: undefined,
    ...unset(OF_THIS_SCRIPT),
  }
  execFileSync('git', ['clone', '--quiet', `file://${resolve(import.meta.dirname, '../..')}`, folder])
  return {
    folder,
    port,
    env,
    async startDev(more = {}) {
      let said = ''
      const startedAt = performance.now()
      const npx = spawnTethered('npx', ['pnpm', 'dev'], {
        cwd: folder,
        env: { ...env, ...more },
        onLine: (line) => (said += `${line}\n`),
      })
      const isReady = (): boolean => /^ready in/m.test(said) || !npx.isRunning
      await pollUntil('pnpm dev is ready', isReady, { deadlineMs: 600_000, everyMs: 5 })
      if (!npx.isRunning) throw new Error(`pnpm dev ended:\n${said}`)
      return {
        url: `http://localhost:${port}`,
        secondsToReady: (performance.now() - startedAt) / 1000,
        said: () => said,
        async stop() {
          process.kill(-npx.pid, 'SIGINT')
          await npx.exited
          await pollUntil('its port is free', async () => !(await isListening(`http://127.0.0.1:${port}`)))
        },
      }
    },
    [Symbol.dispose]() {
      rmSync(parent, { recursive: true, force: true, maxRetries: 5 })
    },
  }
}
