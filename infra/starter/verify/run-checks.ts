/** A check. `run` resolves to a sentence of figures, or '', and rejects with what is wrong. */
export interface Check {
  name: string
  run(): Promise<string>
}

/** A test of a check: `run` runs it on a planted mistake, and must reject with a message that matches `expected`. */
export function planted(what: string, expected: RegExp, run: () => Promise<unknown>): Check {
  return {
    name: `a planted mistake is found: ${what}`,
    async run() {
      const said = await run().then(
        () => undefined,
        (error: Error) => error.message,
      )
      if (said === undefined) throw new Error('it was not found')
      if (!expected.test(said)) throw new Error(`something else was said:\n${said}`)
      return said.split('\n').find((line) => expected.test(line)) ?? ''
    },
  }
}

/**
 * Runs checks one after the other and prints each. The last line is `N passed, N failed`, which CI adds up.
 *
 * @returns whether all passed, and there was at least one
 */
export async function runChecks(checks: readonly Check[]): Promise<boolean> {
  let [passed, failed] = [0, 0]
  for (const { name, run } of checks) {
    const startedAt = performance.now()
    try {
      const found = await run()
      passed++
      console.log(`ok      ${name}${found ? `: ${found}` : ''} (${seconds(startedAt)})`)
    } catch (error) {
      failed++
      console.log(`FAILED  ${name} (${seconds(startedAt)})\n${endOf((error as Error).message)}`)
    }
  }
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0
}

/** The last 40 lines: in a log, the end is important. */
function endOf(message: string): string {
  return message.split('\n').slice(-40).join('\n')
}

function seconds(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
}
