/** Something to verify, and what was found: a sentence of figures. Rejects with what is wrong. */
export interface Check {
  name: string
  /** Others stand on it, so it runs whichever were asked for. */
  isNeeded?: boolean
  run(): Promise<string>
}

/** Runs one after the other, names each, and ends with the line that CI adds up. */
export async function runChecks(checks: AsyncIterable<Check>): Promise<boolean> {
  let [passed, failed] = [0, 0]
  for await (const { name, run } of checks) {
    const startedAt = performance.now()
    try {
      const found = await run()
      passed++
      console.log(`ok      ${name}${found ? `: ${found}` : ''} (${seconds(startedAt)})`)
    } catch (error) {
      failed++
      console.log(`FAILED  ${name} (${seconds(startedAt)})\n${(error as Error).message}`)
    }
  }
  console.log(`${passed} passed, ${failed} failed`)
  return failed === 0 && passed > 0
}

function seconds(startedAt: number): string {
  return `${((performance.now() - startedAt) / 1000).toFixed(1)} s`
}
