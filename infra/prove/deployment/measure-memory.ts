import type { Replica } from './replica.ts'

/** Resident memory of each process, in bytes. */
export function measureMemory(places: readonly Replica[]): Promise<number[]> {
  return Promise.all(places.map((place) => place.measureMemory()))
}
