import { atLeast, none, told, type Finding } from '../attack.ts'
import type { Departure } from '../deployment/replica.ts'
import type { Load, Result } from './start-load.ts'

/** What must be true after every attack under load. `renewsCookies`: cookies may change, because there is a new secret. */
export async function standing(load: Load, { renewsCookies = false } = {}): Promise<Finding[]> {
  const results = await load.stop()
  const { acknowledged, lost, people, signedOut, cookieChanges } = await load.check()
  return [
    atLeast('requests', results.length, 100),
    tellServices(results),
    atLeast('writes acknowledged', acknowledged, 10),
    none('acknowledged writes lost', lost),
    none('wrong answers', countOf(results, 'wrong')),
    none('answers that took a signed-in user for nobody', countOf(results, 'signed out')),
    none(`people signed out of ${people}`, signedOut),
    renewsCookies ? told('cookies signed again', cookieChanges) : none('cookies changed', cookieChanges),
  ]
}

/** Such as `200 × /api/orders, 12 × /`. */
function tellServices(results: readonly Result[]): Finding {
  const services = Map.groupBy(results, ({ path }) => /^\/api\/[^/]+/.exec(path)?.[0] ?? path)
  return told('to', [...services].map(([service, group]) => `${group.length} × ${service}`).join(', '))
}

export function countOf(results: readonly Result[], outcome: Result['outcome']): number {
  return results.filter((result) => result.outcome === outcome).length
}

export function failuresOf(results: readonly Result[]): readonly Result[] {
  return results.filter(({ outcome }) => outcome === 'failed')
}

/** The requests that were scheduled in this time. */
export function within(results: readonly Result[], from: number, until: number): readonly Result[] {
  return results.filter(({ intendedAt }) => intendedAt >= from && intendedAt < until)
}

/** Milliseconds from `since` to the time for which the last failed request was scheduled; 0 when none failed after it. */
export function lastFailure(results: readonly Result[], since: number): number {
  const sentAfter = failuresOf(results).map(({ intendedAt }) => intendedAt - since)
  return Math.round(Math.max(0, ...sentAfter))
}

/** Such as `12 × POST 502, 3 × POST UND_ERR_SOCKET`. */
export function tellFailures(results: readonly Result[]): Finding {
  const kinds = Map.groupBy(failuresOf(results), ({ method, answer }) => `${method} ${answer}`)
  const text = [...kinds].map(([kind, group]) => `${group.length} × ${kind}`).join(', ')
  return told('requests that failed', text || 0)
}

/** Such as `12 × 401, 3 × 429`. The status 0 stands for no answer. */
export function tellStatuses(what: string, answers: readonly { status: number }[]): Finding {
  const groups = [...Map.groupBy(answers, ({ status }) => status)].sort(([a], [b]) => a - b)
  return told(what, groups.map(([status, group]) => `${group.length} × ${status || 'none'}`).join(', '))
}

/** Each process that was stopped must exit with code 0. For the others, the last line of their log is reported. */
export function endings(departures: readonly Departure[]): Finding[] {
  const others = departures.filter(({ code }) => code !== 0)
  const words = others.map(
    ({ name, code, tookMs, lastWords }) => `${name} (${code ?? 'killed'} after ${tookMs} ms): ${lastWords}`,
  )
  return [
    none('exit codes other than 0', others.length),
    ...(others.length > 0 ? [told('their last words', words.join('; '))] : []),
  ]
}

/** Latency in milliseconds, from the time for which a request was scheduled. */
export function percentile(results: readonly Result[], share: number): number {
  const latencies = results.map(({ intendedAt, endedAt }) => endedAt - intendedAt).sort((a, b) => a - b)
  return Math.round(latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? 0)
}
