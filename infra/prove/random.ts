/** Pseudo-random choices: the same seed gives the same choices. */
export interface Random {
  /** From 0 to 1; never 1 itself. */
  next(): number
  /** One of the items. Undefined when the list is empty. */
  pick<T>(list: readonly T[]): T | undefined
  /** A new generator. Choices from it do not depend on how many choices others make. */
  fork(name: string): Random
}

/** The algorithm is mulberry32: small, and good enough to choose processes. */
export function createRandom(seed: number): Random {
  let state = seed >>> 0
  function next(): number {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return {
    next,
    pick: (list) => list[Math.floor(next() * list.length)],
    fork: (name) => createRandom([...name].reduce((sum, char) => (sum * 31 + char.charCodeAt(0)) | 0, seed)),
  }
}
