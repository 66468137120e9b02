import type { Replica } from './replica.ts'

/** Resident bytes of each process. */
export function measureMemory(places: readonly Replica[]): Promise<number[]> {
  return Promise.all(places.map((place) => place.measureMemory()))
}
