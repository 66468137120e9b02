import { join } from 'node:path'
import { freePort } from '@repo/testing/ports'
import { frontDoor, heapFlags, upstreamsOf, type Formation, type ProcessType } from '../formation.ts'
import { openSupervisedProcess, type SupervisedProcess } from './supervised-process.ts'
import type { Printer, Row } from './print.ts'
import { createRollingRestart, type Crew as Places } from './rolling-restart.ts'

/** The URL of a service that was not asked for. Nothing listens there, so the edge answers that it is unavailable. */
const NOBODY = 'http://127.0.0.1:1'

export interface SupervisorOptions {
  root: string
  /** Process types to run beside the edge; all of them when empty. */
  only: readonly string[]
  /** The number of processes of each type. The edge has one. */
  each: number
  /** Process types whose first process gets a debugger. */
  inspected: readonly string[]
  /** The port of the edge. */
  port: number
  environmentOf(type: ProcessType): Record<string, string | undefined>
  print: Printer
}

/** The files that have changed, and their name in a message. */
interface Edit {
  paths: ReadonlySet<string>
  name: string
}

/** Runs the processes of a formation. */
export interface Supervisor {
  /**
   * Starts new process types and stops removed ones. A rolling restart follows, of the processes whose declaration has
   * changed, and after an `edit` of those that import an edited file or do not run.
   *
   * @returns a sentence for each reason why new processes are not ready, with their names
   */
  follow(formation: Formation, edit?: Edit): Promise<string[]>
  rows(): Row[]
  /** Whether a process other than the edge runs, or there is no other process type. */
  isOfUse(): boolean
  stop(): Promise<void>
  /** Kills all processes with SIGKILL. */
  kill(): void
}

interface Crew extends Places {
  type: ProcessType
}

export function createSupervisor(options: SupervisorOptions): Supervisor {
  const { root, only, each, inspected, port, environmentOf, print } = options
  const crews = new Map<string, Crew>()
  const rolling = createRollingRestart(inTurn, print)
  const told = new Set<string>()
  let formation: Formation = { release: [], running: [] }

  async function follow(next: Formation, edit?: Edit): Promise<string[]> {
    const toldBefore = new Map([...crews].map(([name, { type }]) => [name, upstreamsNow(type).UPSTREAMS]))
    formation = next
    const wanted = wantedTypes()
    const names = wanted.map(({ name }) => name)
    told.clear()
    const gone = [...crews].filter(([name]) => !names.includes(name))
    for (const [name] of gone) crews.delete(name)
    const stale = everybody().filter((place) => edit && isTouched(place, edit))
    const added: SupervisedProcess[] = []

    for (const type of wanted) {
      const crew = crews.get(type.name)
      if (!crew) added.push(...(await open(type)))
      else if (JSON.stringify(crew.type) !== JSON.stringify(type)) {
        crew.type = type
        stale.push(...crew.places)
      }
    }
    // Those that are told its URL restart after a new service has started.
    const problems = await Promise.all(added.map((place) => place.start()))
    for (const [name, { type, places }] of crews)
      if (toldBefore.has(name) && toldBefore.get(name) !== upstreamsNow(type).UPSTREAMS) stale.push(...places)
    rolling.restart(stale, edit?.name ?? 'The formation')
    await Promise.all(gone.flatMap(([, { places }]) => places.map((place) => place.stop())))
    const failed = added.map((place, i) => ({ name: place.name, problem: problems[i] }))
    return [...Map.groupBy(failed, ({ problem }) => problem)].flatMap(([problem, group]) =>
      problem ? [`${group.map(({ name }) => name).join(', ')}: ${problem}`] : [],
    )
  }

  async function open(type: ProcessType): Promise<readonly SupervisedProcess[]> {
    const count = isFrontDoor(type) ? 1 : each
    const numbers = Array.from({ length: count }, (_, i) => i + 1)
    const crew: Crew = { type, places: await Promise.all(numbers.map(openNumbered)) }
    crews.set(type.name, crew)
    return crew.places

    async function openNumbered(n: number): Promise<SupervisedProcess> {
      const name = `${type.name}.${n}`
      const isInspected = n === 1 && inspected.includes(type.name)
      const debuggerPort = isInspected ? [`--inspect=127.0.0.1:${await freePort()}`] : []
      return openSupervisedProcess({
        name,
        port: isFrontDoor(type) ? port : await freePort(),
        program: () => ({
          isInspected,
          nodeArgs: [...heapFlags(crew.type), ...debuggerPort],
          cwd: join(root, crew.type.app),
          entry: crew.type.entry,
          env: envOf(crew.type),
        }),
        onLine: (line) => print.log(name, line),
        onStart: (lines) => print.logStart(name, lines),
        onFailure(lines) {
          // Every process that reads a wrong variable reports it. It is printed once.
          if (told.has(lines.join())) return
          told.add(lines.join())
          for (const line of lines) print.log(name, line)
        },
        onTrouble: print.warn,
      })
    }
  }

  function envOf(type: ProcessType): Record<string, string | undefined> {
    return { ...environmentOf(type), ...upstreamsNow(type) }
  }

  function upstreamsNow(type: ProcessType): { UPSTREAMS?: string } {
    return upstreamsOf(
      type,
      formation,
      ({ name }) => crews.get(name)?.places.map(({ url }) => url) ?? [NOBODY],
    )
  }

  function isFrontDoor({ name }: ProcessType): boolean {
    return name === frontDoor(formation)?.name
  }

  /** The types that were asked for, what they call, and the edge. */
  function wantedTypes(): ProcessType[] {
    const { running } = formation
    const names = new Set(only.length > 0 ? only : running.map(({ name }) => name))
    for (const name of names)
      for (const callee of running.find((type) => type.name === name)?.calls ?? []) names.add(callee)
    return running.filter((type) => names.has(type.name) || isFrontDoor(type))
  }

  /** Services, then workers, then the edge: it has one place, and no request is answered while that restarts. */
  function inTurn(): Crew[] {
    const turn = ({ type }: Crew): number => (isFrontDoor(type) ? 2 : type.route ? 0 : 1)
    return [...crews.values()].sort((a, b) => turn(a) - turn(b))
  }

  function everybody(): SupervisedProcess[] {
    return [...crews.values()].flatMap(({ places }) => places)
  }

  return {
    follow,
    rows: () =>
      inTurn().flatMap(({ type, places }) =>
        places.map(({ name, url, pid }) => ({
          type: type.name,
          name,
          url,
          pid: pid ? `pid ${pid}` : 'does not run',
        })),
      ),
    isOfUse() {
      const others = [...crews.values()].filter(({ type }) => !isFrontDoor(type))
      return others.length === 0 || others.some(({ places }) => places.some(({ pid }) => pid !== undefined))
    },
    async stop() {
      await Promise.all(everybody().map((place) => place.stop()))
    },
    kill() {
      for (const place of everybody()) place.kill()
    },
  }
}

function isTouched(place: SupervisedProcess, { paths }: Edit): boolean {
  return place.pid === undefined || [...paths].some((path) => place.imports(path))
}
