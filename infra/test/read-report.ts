import { readFile } from 'node:fs/promises'
import type { ProgramName } from '@repo/testing/programs'

/** What a member's runner says about its tests. */
export interface Result {
  folder: string
  passed: number
  failed: number
  /** By their full names. Not those that lack a program. */
  skipped: string[]
  /** How many were skipped for want of each program (`needs` of @repo/testing). */
  lacking: Partial<Record<ProgramName, number>>
  /** Those among the passed that failed at first (`retry` of vitest.config.ts): their full names, and of what. */
  flaky: string[]
  /** Nothing it depends on has changed since these tests passed: turbo brought the report back from its cache. */
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

/** How many tests were skipped, whatever for. */
export function countSkipped({ skipped, lacking }: Pick<Result, 'skipped' | 'lacking'>): number {
  return Object.values(lacking).reduce((total, count) => total + count, skipped.length)
}

/** Counts a report. Undefined when there is none, or not yet a whole one. */
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
    // A file that cannot be loaded, and a hook that throws, fail their file without failing a test.
    result.failed += status === 'failed' ? Math.max(failed, 1) : failed
    const others = assertionResults.filter((test) => test.status !== 'failed' && test.status !== 'passed')
    for (const { fullName, meta } of others) {
      if (meta.lacks) result.lacking[meta.lacks] = (result.lacking[meta.lacks] ?? 0) + 1
      else result.skipped.push(fullName)
    }
  }
  // A `test` script that finds nothing to test has not tested anything.
  if (report.testResults.length === 0) result.failed = 1
  return result
}
