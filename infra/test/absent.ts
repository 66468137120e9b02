import { basename } from 'node:path'
import { programs, type ProgramName } from '@repo/testing/programs'

/**
 * A line for each program that this machine lacks: how many tests were skipped without it, or what is different without it,
 * and how to install it. Valkey has no line when Redis is absent too, because the line of Redis names both.
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
      // The same name may be listed with several folders.
      const called = [...new Set(names.map((path) => basename(path)))]
      return `absent   ${called.join(' or ')}: ${what}. apt install ${apt}, or brew install ${brew}`
    })
}
