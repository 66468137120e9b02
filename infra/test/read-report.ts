import { readFile } from 'node:fs/promises'
import type { ProgramName } from '@repo/testing/programs'

/** The results of a member's tests. */
export interface Result {
  folder: string
  passed: number
  failed: number
  /** The full names of skipped tests, without those that lack a program. */
  skipped: string[]
  /** How many tests were skipped because a program is absent (`needs` of @repo/testing). */
  lacking: Partial<Record<ProgramName, number>>
  /** Passed tests that failed at first (`retry` of vitest.config.ts): their full names and errors. */
  flaky: string[]
  /** Turbo took the report from its cache, because nothing has changed since these tests passed. */
  isCached: boolean
}

/** The part of vitest's JSON report that is read here. https://vitest.dev/guide/reporters#json-reporter */
interface VitestReport {
  startTime: number
  testResults: {
    status: string
    assertionResults: {
      status: string
      fullName: string
      failureMessages: string[]
      meta: { lacks?: ProgramName }
    }[]
  }[]
}

/** How many tests were skipped, for any reason. */
export function countSkipped({ skipped, lacking }: Pick<Result, 'skipped' | 'lacking'>): number {
  return Object.values(lacking).reduce((total, count) => total + count, skipped.length)
}

/** The results in a report. Undefined when there is none, or it is not complete yet. */
export async function readReport(
  folder: string,
  file: string,
  startedAt: number,
): Promise<Result | undefined> {
  const report = await readFile(file, 'utf8')
    .then((text) => JSON.parse(text) as VitestReport)
    .catch(() => undefined)
  if (!report) return undefined
  const isCached = report.startTime < startedAt
  const result: Result = { folder, passed: 0, failed: 0, skipped: [], lacking: {}, flaky: [], isCached }
  for (const { status, assertionResults } of report.testResults) {
    const failed = assertionResults.filter((test) => test.status === 'failed').length
    const passed = assertionResults.filter((test) => test.status === 'passed')
    result.passed += passed.length
    for (const { fullName, failureMessages } of passed) {
      const [failure] = failureMessages
      if (failure !== undefined) result.flaky.push(`${fullName}: ${failure.split('\n', 1)[0]}`)
    }
    // A file that cannot be loaded or a hook that throws fails the file, but no test.
    result.failed += status === 'failed' ? Math.max(failed, 1) : failed
    const others = assertionResults.filter((test) => test.status !== 'failed' && test.status !== 'passed')
    for (const { fullName, meta } of others) {
      if (meta.lacks) result.lacking[meta.lacks] = (result.lacking[meta.lacks] ?? 0) + 1
      else result.skipped.push(fullName)
    }
  }
  // A `test` script that finds no test has failed.
  if (report.testResults.length === 0) result.failed = 1
  return result
}
