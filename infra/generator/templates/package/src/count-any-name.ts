/** The number of different names. */
export function countAnyName(names: Iterable<string>): number {
  return new Set(names).size
}
