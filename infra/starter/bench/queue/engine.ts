/** What the bench asks of a queue: one file each in `engines/`. */
export interface Engine {
  install(url: string): Promise<void>
  openEnqueuer(url: string): Promise<Enqueuer>
  /** Takes jobs, ten at a time; resolves when the first may come. */
  work(url: string, run: (payload: Payload) => Promise<void>): Promise<void>
}

export interface Enqueuer {
  /** Makes a job inside the caller's transaction. */
  enqueue(tx: RawQueries, payload: Payload): Promise<void>
  close(): Promise<void>
}

export interface RawQueries {
  $queryRawUnsafe<T>(sql: string, ...values: unknown[]): Promise<T>
}

export interface Payload {
  number: number
  takesMs?: number
  /** It takes its time without letting the event loop go on. */
  blocks?: boolean
}
