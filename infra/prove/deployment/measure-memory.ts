import type { Place } from './place.ts'

/** Resident bytes of each process. */
export function measureMemory(places: readonly Place[]): Promise<number[]> {
  return Promise.all(places.map((place) => place.measureMemory()))
}
