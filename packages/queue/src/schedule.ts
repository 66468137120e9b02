import type { CronMatcher } from 'graphile-worker'
import type { Client } from 'pg'
import type { Static, TObject } from 'typebox'
import { checkPayload, type Job } from './define-job.ts'

export interface Schedule {
  readonly job: Job
  readonly cron: string
  readonly payload: object
}

/**
 * Enqueues a job at every tick of a crontab line, in UTC: `0 3 * * *`. All workers share the schedule, and each tick makes one job. A
 * job has at most one schedule.
 *
 * @see crontab(5), without names and without seconds
 */
export function schedule<S extends TObject>(job: Job<S>, cron: string, payload: Static<S>): Schedule {
  return { job, cron, payload: checkPayload(job, payload) as object }
}

/** Of the ticks that passed while no worker ran, the latest one still makes its job when it is not older than this. */
const makeUpForMs = 24 * 60 * 60_000

/** What a worker calls once a second to make the jobs that are due. Only the clock of the database is read. */
export async function createScheduler(schedules: Schedule[]): Promise<(session: Client) => Promise<void>> {
  const { parseCronItem } = await import('graphile-worker')
  const names = schedules.map(({ job }) => job.name)
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice) throw new Error(`Job ${twice} has two schedules; it may have one`)
  const matchers = new Map(
    schedules.map(({ job, cron }) => [job.name, parseCronItem({ task: job.name, match: cron }).match]),
  )
  const checkedUntil = new Map<string, number>()

  return async function makeDueJobs(session) {
    if (schedules.length === 0) return
    const { rows } = await session.query<{ name: string; last_tick: Date; now: Date }>(readSchedules, [names])
    for (const { name, last_tick, now } of rows) {
      const minute = Math.floor(now.getTime() / 60_000) * 60_000
      if (checkedUntil.get(name) === minute) continue
      const tick = findLatestTick(matchers.get(name)!, last_tick.getTime(), minute)
      const { job, payload } = schedules.find(({ job }) => job.name === name)!
      if (tick) await session.query(makeJob, [name, tick, JSON.stringify(payload), job.attempts])
      checkedUntil.set(name, minute)
    }
  }
}

function findLatestTick(matches: CronMatcher, afterMs: number, untilMs: number): Date | null {
  for (let at = untilMs; at > Math.max(afterMs, untilMs - makeUpForMs); at -= 60_000) {
    const date = new Date(at)
    const digest = {
      min: date.getUTCMinutes(),
      hour: date.getUTCHours(),
      date: date.getUTCDate(),
      month: date.getUTCMonth() + 1,
      dow: date.getUTCDay(),
    }
    if (matches(digest)) return date
  }
  return null
}

// A schedule begins when a worker first sees it; earlier ticks make no job.
const readSchedules = `
  WITH begun AS (
    INSERT INTO queue_schedules SELECT name, now() FROM unnest($1::text[]) AS names (name)
    ON CONFLICT DO NOTHING
  )
  SELECT name, last_tick, now() FROM queue_schedules WHERE name = ANY ($1)`

// The worker that moves the tick forward is the one that makes the job, in the same statement.
const makeJob = `
  WITH won AS (
    UPDATE queue_schedules SET last_tick = $2 WHERE name = $1 AND last_tick < $2 RETURNING name
  )
  SELECT add_job(name, $3::json, max_attempts => $4::int) FROM won`
