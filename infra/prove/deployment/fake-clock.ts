import { globSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { join } from 'node:path'

const HOUR_S = 60 * 60

/** The time of day that one process sees, another than that of the machine. What it measures durations by goes on as ever. */
export interface FakeClock extends AsyncDisposable {
  /** What the process must have in its environment from its beginning. */
  readonly env: Record<string, string>
  /** Sets it so many hours ahead of the machine's, or behind. */
  jumpTo(hours: number): Promise<void>
}

/** The library of Debian's package `faketime`. */
export function findFakeTime(): string | undefined {
  return globSync(['/usr/lib/*/faketime/libfaketime.so.1', '/usr/lib/faketime/libfaketime.so.1'])[0]
}

/** @see https://github.com/wolfcw/libfaketime */
export async function openFakeClock(): Promise<FakeClock> {
  const folder = await openTemporaryFolder('clock')
  const file = join(folder.path, 'time')
  const jumpTo = (hours: number): Promise<void> =>
    writeFile(file, `${hours < 0 ? '' : '+'}${hours * HOUR_S}s\n`)
  await jumpTo(0)
  return {
    env: {
      LD_PRELOAD: findFakeTime()!,
      FAKETIME_TIMESTAMP_FILE: file,
      // Without these a jump is seen after ten seconds, and timers jump, too.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    jumpTo,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}
