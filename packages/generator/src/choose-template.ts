export const kinds = ['http', 'worker', 'http+worker', 'package'] as const
export const capabilities = ['database', 'session', 'queue'] as const
export type Kind = (typeof kinds)[number]
export type Capability = (typeof capabilities)[number]

/** Which template to copy, and what of it. */
export interface Choice {
  /** A folder of `templates/`. */
  template: string
  /** The template's own name, which the new one takes the place of. */
  name: 'any-name' | 'own-name'
  /** Of the processes that are wanted. What none of them imports stays behind. */
  entries: string[]
  /** What was decided beyond what was asked for. */
  notes: string[]
}

/** A request that cannot be met. Its message says why, and what to ask for instead. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
}

/** @throws {Refusal} */
export function chooseTemplate(kind: Kind, asked: readonly Capability[]): Choice {
  if (kind === 'package') {
    if (asked.length > 0) throw new Refusal('Packages are leaves: an app gives a package what it needs.')
    return { template: 'package', name: 'any-name', entries: [], notes: [] }
  }
  const notes: string[] = []
  const hasWorker = kind !== 'http'
  if (kind === 'worker' && asked.includes('session')) {
    throw new Refusal('Nobody signs in to a worker: ask for --kind http+worker, or leave the session out.')
  }
  const hasSession = asked.includes('session')
  const hasQueue = hasWorker || asked.includes('queue')
  const hasDatabase = hasQueue || asked.includes('database')
  if (hasWorker && !asked.includes('queue'))
    notes.push('A worker takes its jobs from the queue: it gets one.')
  const isTableless = kind === 'worker' && !asked.includes('database')
  if (hasQueue && !asked.includes('database')) {
    notes.push(
      isTableless
        ? 'Jobs are rows of Postgres: it needs a database, and has no table of its own yet.'
        : 'A job is made in the transaction that made it necessary: queue brings database.',
    )
  }
  if (hasQueue && !hasWorker) {
    notes.push('Its jobs wait until a worker takes them: --kind http+worker brings one.')
  }
  const parts = [hasQueue ? 'queue' : hasDatabase && 'database', hasSession && 'session']
  return {
    template: isTableless ? 'worker' : parts.filter(Boolean).join('-') || 'http',
    name: hasSession ? 'own-name' : 'any-name',
    entries: [kind !== 'worker' && 'src/server.ts', hasWorker && 'src/worker.ts'].filter(
      (entry) => entry !== false,
    ),
    notes,
  }
}
