/** Chance that repeats: the same seed gives the same choices. */
export interface Random {
  /** From 0 up to and without 1. */
  next(): number
  /** Undefined when there is nothing to pick from. */
  pick<T>(list: readonly T[]): T | undefined
  /** A source of its own, so that one user's choices do not depend on how many another makes. */
  fork(name: string): Random
}

/** mulberry32: small, and good enough to choose victims. */
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
