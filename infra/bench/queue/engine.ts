/** What the bench asks of a queue; one file each in `engines/`. */
export interface Engine {
  install(url: string): Promise<void>
  /** Makes jobs inside the caller's transaction. */
  openEnqueuer(url: string): Promise<{
    enqueue(tx: RawTransaction, payload: object): Promise<void>
    close(): Promise<void>
  }>
  /** Takes jobs, ten at a time, and tells when the first may come. */
  work(url: string, handle: (payload: Payload) => Promise<void>): Promise<void>
}

export interface RawTransaction {
  $queryRawUnsafe(sql: string, ...values: unknown[]): Promise<unknown>
}

export interface Payload {
  number: number
  /** How long the job takes; the handler of a long one keeps the event loop free unless it `blocks`. */
  takesMs?: number
  blocks?: boolean
}
