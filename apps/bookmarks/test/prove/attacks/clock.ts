import { setTimeout as sleep } from 'node:timers/promises'
import { pollUntil } from '@repo/testing/poll-until'
import { query } from '@repo/testing/create-database'
import { atLeast, none, told, type Attack } from '../../../../../infra/prove/attack.ts'
import {
  findFakeTime,
  openFakeClock,
  type FakeClock,
} from '../../../../../infra/prove/deployment/fake-clock.ts'
import { openDeployment, type Deployment } from '../../../../../infra/prove/deployment/open-deployment.ts'

/** How long the clocks stand still, so that workers can make mistakes: each worker looks once a second. */
const WATCH_MS = 2500

/** All clocks differ. (The row is here because this app has a schedule.) */
export const clock: Attack<Deployment & { databaseClock: FakeClock }> = {
  name: 'clock',
  does: 'the clocks of the database and of the workers that share a schedule jump by hours and days',
  claim: 'a scheduled job runs once per tick by the clock of the database, and never earlier',
  needs: ['haproxy'],
  library: { name: 'libfaketime', apt: 'faketime', find: findFakeTime },
  async open(options, resources) {
    const databaseClock = resources.use(await openFakeClock())
    const deployment = resources.use(await openDeployment({ ...options, postgresEnv: databaseClock.env }))
    return Object.assign(deployment, { databaseClock })
  },
  async run({ deployment, random, scale, note }) {
    const { databaseClock, formation, postgres } = deployment
    await using clocks = new AsyncDisposableStack()
    const workerClocks: FakeClock[] = []
    for (const type of formation.running.filter(({ route }) => route === undefined)) {
      for (const place of deployment.inhabited(type)) {
        const own = clocks.use(await openFakeClock())
        workerClocks.push(own)
        await place.kill()
        await place.start({ env: own.env })
      }
    }
    await query(postgres.url, remember)
    const count = async (): Promise<Counts> => (await query<Counts>(postgres.url, counts))[0]!
    await pollUntil('a worker holds a schedule', async () => (await count()).schedules > 0)

    let days = 0
    const jumps = scale(3, 10)
    for (let jump = 1; jump <= jumps; jump++) {
      for (const own of workerClocks) await own.jumpTo(Math.round(random.next() * 200 - 100))
      // A day has at least one tick of every schedule that runs daily or more often. Of missed ticks only the last counts.
      days++
      note('the database is a day on')
      await databaseClock.jumpTo(days * 24)
      await pollUntil('every schedule has ticked', async () => (await count()).least >= jump)
      await sleep(WATCH_MS)
      note('it is two hours back, and then where it was')
      await databaseClock.jumpTo(days * 24 - 2)
      await sleep(WATCH_MS)
      await databaseClock.jumpTo(days * 24)
      await sleep(WATCH_MS)
    }
    await pollUntil('all have run', async () => (await count()).waiting === 0)
    const { schedules, ticks, early, jobs, runs } = await count()
    return [
      told('workers', workerClocks.length),
      told('schedules', schedules),
      atLeast('ticks', ticks, jumps * schedules),
      none('jobs too many or too few for that', Math.abs(jobs - ticks)),
      none('runs too many or too few', Math.abs(runs - ticks)),
      none('ticks before their time', early),
    ]
  },
}

interface Counts {
  schedules: number
  /** The ticks of the schedule that has ticked least often. */
  least: number
  /** The number of different ticks. */
  ticks: number
  early: number
  jobs: number
  runs: number
  waiting: number
}

// Jobs are deleted when they are done, so triggers count them. They run as their owner, because the app must not write here.
const remember = `
  CREATE SCHEMA prove;
  CREATE TABLE prove.ticks (name text, tick timestamptz, is_early boolean);
  CREATE TABLE prove.jobs (id bigint, attempts int);
  CREATE FUNCTION prove.remember_tick() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO prove.ticks VALUES (NEW.name, NEW.last_tick, NEW.last_tick > now());
    RETURN NULL;
  END $$;
  CREATE FUNCTION prove.remember_job() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
    INSERT INTO prove.jobs VALUES (OLD.id, OLD.attempts);
    RETURN NULL;
  END $$;
  CREATE TRIGGER prove AFTER UPDATE ON bookmarks_queue.queue_schedules FOR EACH ROW EXECUTE FUNCTION prove.remember_tick();
  CREATE TRIGGER prove AFTER DELETE ON bookmarks_queue._private_jobs
    FOR EACH ROW EXECUTE FUNCTION prove.remember_job();`

const counts = `
  SELECT (SELECT count(*)::int FROM bookmarks_queue.queue_schedules) AS schedules,
    (SELECT coalesce(min(count), 0)::int FROM (
      SELECT count(DISTINCT tick) FROM bookmarks_queue.queue_schedules LEFT JOIN prove.ticks USING (name) GROUP BY name
    ) AS of_schedules) AS least,
    (SELECT count(DISTINCT (name, tick))::int FROM prove.ticks) AS ticks,
    (SELECT count(*)::int FROM prove.ticks WHERE is_early) AS early,
    (SELECT count(*)::int FROM prove.jobs) AS jobs,
    (SELECT coalesce(sum(attempts), 0)::int FROM prove.jobs) AS runs,
    (SELECT count(*)::int FROM bookmarks_queue.jobs) AS waiting`
