import { basename } from 'node:path'
import { programs, type ProgramName } from '@repo/testing/programs'

/**
 * A line for each program that this machine lacks: what was skipped for want of it, or what is so without it, and how to
 * install it. Valkey has none where there is no Redis either: what stands for Redis stands for it.
 */
export function describeAbsent(
  absent: ProgramName[],
  skipped: Partial<Record<ProgramName, number>>,
): string[] {
  return absent
    .filter((name) => name !== 'valkey' || !absent.includes('redis'))
    .map((name) => {
      const { names, tests, without, apt, brew } = programs[name]
      const count = skipped[name] ?? 0
      const were = count === 1 ? '1 test of % was skipped' : `${count} tests of % were skipped`
      const what = count === 0 ? `no test was skipped, ${without}` : were.replace('%', tests)
      // One name may be looked for in many folders.
      const called = [...new Set(names.map((path) => basename(path)))]
      return `absent   ${called.join(' or ')}: ${what}. apt install ${apt}, or brew install ${brew}`
    })
}
