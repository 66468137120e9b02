/** A queue as the bench uses it. Each file in `engines/` implements one. */
export interface Engine {
  install(url: string): Promise<void>
  openEnqueuer(url: string): Promise<Enqueuer>
  /** Starts a worker with concurrency 10. Resolves when it takes jobs. */
  work(url: string, run: (payload: Payload) => Promise<void>): Promise<void>
}

export interface Enqueuer {
  /** Makes a job inside the caller's transaction. */
  enqueue(tx: RawQueries, payload: Payload): Promise<void>
  close(): Promise<void>
}

interface RawQueries {
  $queryRawUnsafe<T>(sql: string, ...values: unknown[]): Promise<T>
}

export interface Payload {
  number: number
  takesMs?: number
  /** The job blocks the event loop for `takesMs`. */
  blocks?: boolean
}
