import { fileURLToPath } from 'node:url'
import {
  behaviours,
  type Behaviour,
  type Stage,
} from '../../../../../packages/session/test/behaviours/index.ts'
import { openStage } from '../../../../../packages/session/test/behaviours/open-stage.ts'
import { stores } from '../../../../../packages/session/test/behaviours/open-stores.ts'

/** One session package that the thirty behaviours run on, with Redis. */
export interface Candidate {
  name: string
  entry: string
  env: Record<string, string>
}

const entry = (file: string) => fileURLToPath(new URL(file, import.meta.url))
const ours = entry('../../../../packages/session/test/behaviours/behaviour-server.ts')

export const candidates: Candidate[] = [
  { name: 'Nonstick', entry: ours, env: {} },
  { name: '@fastify/session defaults, ioredis', entry: entry('fastify-session.ts'), env: {} },
  { name: '@fastify/session lean, ioredis', entry: entry('fastify-session.ts'), env: { LEAN: '1' } },
  {
    name: '@fastify/session defaults, connect-redis',
    entry: entry('fastify-session.ts'),
    env: { CONNECT_REDIS: '1' },
  },
  {
    name: '@fastify/session lean, connect-redis',
    entry: entry('fastify-session.ts'),
    env: { CONNECT_REDIS: '1', LEAN: '1' },
  },
  { name: 'express-session, connect-redis', entry: entry('express-session.ts'), env: {} },
]

export interface Verdict {
  number: number
  claim: string
  answer: 'yes' | 'no'
  /** The message of the behaviour when the answer is no. */
  failure?: string
}

const DEADLINE_MS = 60_000

/** Runs every behaviour, each with a store and two processes of its own, so that no failure affects the next one. */
export async function playAll(
  candidate: Candidate,
  onVerdict: (verdict: Verdict) => void,
): Promise<Verdict[]> {
  const verdicts: Verdict[] = []
  for (const behaviour of behaviours) {
    const failure = await playOne(candidate, behaviour)
    const { number, claim } = behaviour
    const verdict: Verdict =
      failure === undefined ? { number, claim, answer: 'yes' } : { number, claim, answer: 'no', failure }
    verdicts.push(verdict)
    onVerdict(verdict)
  }
  return verdicts
}

async function playOne({ entry, env }: Candidate, behaviour: Behaviour): Promise<string | undefined> {
  const resources = new AsyncDisposableStack()
  try {
    const store = (await stores['Redis']!(resources))!
    const stage = resources.use(await openStage(store, entry, env))
    await withDeadline(behaviour.play(stage as Stage))
    return undefined
  } catch (error) {
    return (error as Error).message.replaceAll(/\s+/g, ' ').slice(0, 160)
  } finally {
    // The verdict does not depend on how a process ends.
    await resources.disposeAsync().catch(() => {})
  }
}

async function withDeadline(work: Promise<void>): Promise<void> {
  const { promise, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => reject(new Error(`no end within ${DEADLINE_MS / 1_000} s`)), DEADLINE_MS)
  try {
    await Promise.race([work, promise])
  } finally {
    clearTimeout(timer)
  }
}
