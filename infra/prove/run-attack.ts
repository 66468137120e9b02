import { findProgram, programs } from '@repo/testing/programs'
import { none, type Attack, type Finding } from './attack.ts'
import type { Deployment, DeploymentOptions } from './deployment/open-deployment.ts'
import { startLoad, type Load, type LoadOptions } from './load/start-load.ts'
import { createRandom } from './random.ts'
import { bySecond, type Note, type Second } from './record.ts'

export interface RowResult {
  row: string
  does: string
  claim: string
  /** `not run` does not count as `holds`. */
  verdict: 'holds' | 'broken' | 'not run'
  /** Why it did not run, the error that ended it, or the first process that ended by itself. */
  reason?: string
  tookMs: number
  findings: Finding[]
  seconds: Second[]
}

export interface RunOptions {
  seed: number
  isQuick: boolean
  /** Requests per second, and the number of users. */
  load: Omit<LoadOptions, 'random'>
  deployment: DeploymentOptions
  /** The deployment of all rows that do not open their own. */
  openShared(): Promise<Deployment>
}

/** Runs one row. Never rejects: an error becomes the `reason` of the result. */
export async function runAttack(attack: Attack, options: RunOptions): Promise<RowResult> {
  const { name: row, does, claim } = attack
  const begunAt = performance.now()
  const told = (result: Omit<RowResult, 'row' | 'does' | 'claim' | 'tookMs'>): RowResult => ({
    row,
    does,
    claim,
    tookMs: Math.round(performance.now() - begunAt),
    ...result,
  })
  const obstacle = missingPackages(attack) ?? attack.findObstacle?.()
  if (obstacle) return told({ verdict: 'not run', reason: obstacle, findings: [], seconds: [] })

  await using resources = new AsyncDisposableStack()
  const random = createRandom(options.seed).fork(row)
  const notes: Note[] = []
  const loads: Load[] = []
  const record = (): Second[] =>
    bySecond(
      loads.flatMap(({ results }) => results),
      notes,
    )
  let deployment: Deployment
  try {
    deployment = (await attack.open?.(options.deployment, resources)) ?? (await options.openShared())
    await deployment.heal()
  } catch (error) {
    const reason = `the formation did not come up: ${(error as Error).message}`
    return told({ verdict: 'not run', reason, findings: [], seconds: [] })
  }

  try {
    deployment.crashes.length = 0
    using stray = waitForStray()
    const running = attack.run({
      deployment,
      random,
      scale: (quick, full) => (options.isQuick ? quick : full),
      note: (what) => void notes.push({ at: performance.now(), what }),
      async startLoad(more = {}) {
        const load = await startLoad(deployment, { ...options.load, random: random.fork('load'), ...more })
        loads.push(load)
        return load
      },
    })
    const findings = await Promise.race([running, stray.error])
    findings.push(none('processes that ended by themselves', deployment.crashes.length))
    const verdict = findings.every(({ holds }) => holds) ? 'holds' : 'broken'
    const reason = deployment.crashes[0]
    return told({ verdict, findings, seconds: record(), ...(reason && { reason }) })
  } catch (error) {
    const reason = `it broke off: ${(error as Error).message}`
    return told({ verdict: 'broken', reason, findings: [], seconds: record() })
  } finally {
    for (const load of loads) await load.stop()
  }
}

/** Rejects with an error that a row has caused and that nothing in it waits for: it must end this row, and not all others too. */
function waitForStray(): Disposable & { error: Promise<never> } {
  const { promise, reject } = Promise.withResolvers<never>()
  process.on('unhandledRejection', reject)
  return { error: promise, [Symbol.dispose]: () => void process.off('unhandledRejection', reject) }
}

function missingPackages({ needs = [], library }: Attack): string | undefined {
  const missing = needs
    .map((name) => programs[name])
    .filter(({ names }) => !findProgram(...names))
    .map(({ names, apt }): { name: string; apt: string } => ({ name: names.join(' or '), apt }))
  if (library && !library.find()) missing.push(library)
  if (missing.length === 0) return undefined
  const packages = missing.map(({ apt }) => apt).join(' ')
  return `this machine has no ${missing.map(({ name }) => name).join(' and no ')} (Debian: apt install ${packages})`
}
