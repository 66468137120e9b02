import { globSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { join } from 'node:path'

const HOUR_S = 60 * 60

/** A wall clock for one process that differs from the machine's. Its monotonic clock is not changed. */
export interface FakeClock extends AsyncDisposable {
  /** Environment variables with which the process must be started. */
  readonly env: Record<string, string>
  /** Sets the clock this many hours ahead of the machine's, or behind when negative. */
  jumpTo(hours: number): Promise<void>
}

/** The path of the library in Debian's package `faketime`. Undefined when it is not installed. */
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
      // Without these a jump is seen only after ten seconds, and timers jump as well.
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    },
    jumpTo,
    [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
  }
}
