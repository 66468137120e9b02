import { cpus, type } from 'node:os'

/** Printed with all figures: processor, cores, operating system, and version of Node. */
export const machine = `${cpus()[0]!.model.trim()}, ${cpus().length} cores, ${type()}, Node ${process.version}`

/** @returns the middle value, or the mean of the two in the middle; NaN for an empty list */
export function medianOf(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}
