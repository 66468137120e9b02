/** Something to verify, and what was found: a sentence of figures. Rejects with what is wrong. */
export interface Check {
  name: string
  run(): Promise<string>
}

/** A check of a check: `run` does what another check does, with a mistake in it, and must say so. */
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

/** Runs one after the other, names each, and ends with the line that CI adds up. */
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

/** Of a whole log the end is what matters. */
function endOf(message: string): string {
  return message.split('\n').slice(-40).join('\n')
}

function seconds(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
}
