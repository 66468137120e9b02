import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

// V8 lets a process grow for as long as the machine has memory: a worker that held 1 MB of a file at a time went from 150 to
// 320 MB. Without room to grow, the young generation saves 20 MB and costs no time; `--optimize-for-size` would be enough
// alone, but makes every request take 2.4 times as long.
setFlagsFromString('--semi-space-growth-factor=1')
setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

const everyBytes = 512 * 1024

/** Passes a stream on, and has what each half megabyte of it left behind collected, which takes about 30 ms. */
export async function* sparingMemory<Piece extends Uint8Array | string>(
  source: AsyncIterable<Piece>,
): AsyncGenerator<Piece> {
  let bytes = 0
  for await (const piece of source) {
    yield piece
    bytes += piece.length
    if (bytes < everyBytes) continue
    bytes = 0
    collectGarbage()
  }
}
