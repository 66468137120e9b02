import { setTimeout as sleep } from 'node:timers/promises'
import type { Engine, Payload } from './engine.ts'

// A worker process. It sends its parent a message when a job starts and when it ends.
const [name, url] = process.argv.slice(2)
const { engine } = (await import(`./engines/${name}.ts`)) as { engine: Engine }

const now = (): number => performance.timeOrigin + performance.now()

await engine.work(url!, async ({ number, takesMs = 0, blocks }: Payload) => {
  process.send!({ event: 'start', number, at: now() })
  if (blocks) {
    // The message must be sent before the event loop is blocked.
    await sleep(50)
    const until = now() + takesMs
    while (now() < until);
  } else if (takesMs > 0) await sleep(takesMs)
  process.send!({ event: 'end', number, at: now() })
})
process.send!({ event: 'ready', at: now() })
