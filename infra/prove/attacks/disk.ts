import { setTimeout as sleep } from 'node:timers/promises'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { none, told, type Attack } from '../attack.ts'
import { badDisks, findDiskObstacle, onDisk } from '../deployment/bad-disk.ts'
import { rollOver } from '../deployment/roll-over.ts'
import { failuresOf, standing, tellFailures, within } from '../load/standing.ts'

/** Processes keep no data on disk. Work that needs temporary files has a row of its own. */
export const disk: Attack = {
  name: 'disk',
  does: 'every process on a full disk, then on a read-only file system, then as before',
  claim: 'no request fails',
  needs: ['haproxy'],
  findObstacle: findDiskObstacle,
  async run(arena) {
    await using folder = await openTemporaryFolder('disk')
    const load = await arena.startLoad()
    const asked: number[] = []
    for (const kind of badDisks) {
      arena.note(`the disk becomes ${kind}`)
      await rollOver(arena, onDisk(kind, folder.path))
      arena.note(`every disk is ${kind}`)
      const from = performance.now()
      await sleep(arena.scale(2000, 5000))
      asked.push(within(load.results, from, performance.now()).length)
    }
    await rollOver(arena)
    const results = await load.stop()
    return [
      ...(await standing(load)),
      tellFailures(results),
      none('failed requests', failuresOf(results).length),
      ...badDisks.map((kind, i) => told(`requests while every disk was ${kind}`, asked[i]!)),
    ]
  },
}
