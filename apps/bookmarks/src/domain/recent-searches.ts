/** How many searches are remembered. */
export const RECENT_SEARCHES = 5

/** The searches after one more: the newest first, each once, and no more than are remembered. */
export function addSearch(searches: readonly string[], q: string): string[] {
  return [q, ...searches.filter((other) => other !== q)].slice(0, RECENT_SEARCHES)
}
