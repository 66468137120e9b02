/** How many there are, a thing named twice being one. */
export function countAnyName(names: Iterable<string>): number {
  return new Set(names).size
}
