import { freePort } from '@repo/testing/ports'
import { pollUntil } from '@repo/testing/poll-until'
import { spawnTethered } from '@repo/testing/spawn-tethered'
import type { Clone } from './open-clone.ts'

/** `pnpm dev` in a clone, one process of each type. */
export interface Dev extends AsyncDisposable {
  /** The status of a GET through the edge. */
  statusOf(path: string): Promise<number>
  url: string
  /** Polls for up to 120 s, and then throws with the last output of `pnpm dev`. */
  eventually(claim: string, isTrue: () => Promise<boolean>): Promise<void>
}

export async function startDev({ root }: Clone): Promise<Dev> {
  const url = `http://127.0.0.1:${await freePort()}`
  let said = ''
  const dev = spawnTethered(process.execPath, ['infra/dev/main.ts', '--each', '1'], {
    cwd: root,
    env: {
      ...process.env,
      PORT: new URL(url).port,
      DATABASE_URL: undefined,
      SESSION_STORE_URL: undefined,
      NO_COLOR: '1',
    },
    onLine: (line) => void (said += `${line}\n`),
  })

  async function eventually(claim: string, isTrue: () => boolean | Promise<boolean>): Promise<void> {
    await pollUntil(claim, isTrue, { deadlineMs: 120_000 }).catch((cause) => {
      throw new Error(`${claim}: not so\n${said.slice(-5000)}`, { cause })
    })
  }

  await eventually('pnpm dev is ready', () => said.includes('ready in '))
  return {
    url,
    eventually,
    statusOf: async (path) => (await fetch(url + path)).status,
    [Symbol.asyncDispose]: () => dev.stop(30_000),
  }
}
