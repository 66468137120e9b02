import { setTimeout as sleep } from 'node:timers/promises'
import { openTemporaryFolder } from '@repo/testing/open-temporary-folder'
import { pollUntil } from '@repo/testing/poll-until'
import { Agent } from 'undici'
import { atLeast, none, type Attack, type Finding } from '../../../../../infra/prove/attack.ts'
import { badDisks, findDiskObstacle, onDisk } from '../../../../../infra/prove/deployment/bad-disk.ts'
import { NOTICE_MS } from '../../../../../infra/prove/deployment/open-deployment.ts'
import type { Otherwise, Replica } from '../../../../../infra/prove/deployment/replica.ts'
import { signUp, type Person } from '../../../../../infra/prove/load/person.ts'
import { serveBookmarkFiles } from '../bookmark-files.ts'

const IMPORTS = '/api/bookmarks/imports/'
const LINKS = 100

/** Retries on a bad disk would look like a hang to the user. */
const SAID_WITHIN_MS = 5000

interface Import {
  status: string
  imported: number
  error: string | null
}

/** A worker copies the file to a disk before it reads it. */
export const importDisk: Attack = {
  name: 'import-disk',
  does: 'an import while every process has a full disk, then a read-only disk, then a disk that works',
  claim:
    'the import fails within 5 s and gives the reason; started again on the working disk, it stores every link',
  needs: ['haproxy'],
  findObstacle: findDiskObstacle,
  async run({ deployment, note }) {
    await using folder = await openTemporaryFolder('disk')
    const agent = new Agent()
    const caller = { url: deployment.url, dispatcher: agent }
    const person = await signUp(caller, `importer-${process.pid}-${Date.now()}@prove.example`)
    await using files = await serveBookmarkFiles(0)
    const url = files.urlOf(`disk-${Date.now().toString(36)}`, LINKS)

    const findings: Finding[] = []
    for (const disk of badDisks) {
      await restart(deployment.inhabited(), onDisk(disk, folder.path))
      note(`every disk is ${disk}`)
      const { status, error } = await runImport(person, url)
      findings.push(
        none(`imports on a ${disk} disk that ended other than failed`, Number(status !== 'failed')),
        atLeast('letters of the reason that the person was given', error?.length ?? 0, 20),
      )
    }
    await restart(deployment.inhabited())
    const { imported } = await runImport(person, url)
    await agent.destroy()
    return [...findings, atLeast('links brought by the same import later', imported, LINKS)]
  },
}

async function restart(places: readonly Replica[], otherwise?: Otherwise): Promise<void> {
  await Promise.all(places.map((place) => place.kill()))
  await Promise.all(places.map((place) => place.start(otherwise)))
  // The edge and the load balancer notice by their probes that a process is back.
  await sleep(NOTICE_MS)
}

/** Starts an import. Resolves to its progress when it has ended, or after SAID_WITHIN_MS. */
async function runImport(person: Person, url: string): Promise<Import> {
  const { headers } = await person.ask({ method: 'POST', path: IMPORTS, json: { url } })
  let progress: Import = { status: 'not accepted', imported: 0, error: null }
  const hasEnded = async (): Promise<boolean> => {
    const { text } = await person.ask({ method: 'GET', path: String(headers.location) })
    progress = (JSON.parse(text) as { import: Import }).import
    return progress.status === 'done' || progress.status === 'failed'
  }
  await pollUntil('the import has ended', hasEnded, { deadlineMs: SAID_WITHIN_MS, everyMs: 100 }).catch(
    () => {},
  )
  return progress
}
