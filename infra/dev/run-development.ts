import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { startProcess } from '@repo/testing/start-process'
import { readFormation, type Formation, type ProcessType } from '../formation.ts'
import { openBackingServices } from './backing-services.ts'
import { claimClone } from './claim-clone.ts'
import { explainEdits, findUnreadMigrations } from './find-unread-migrations.ts'
import { followEdits } from './follow-edits.ts'
import { make, productsOf, type Product } from './make.ts'
import { createSupervisor, type Supervisor, type SupervisorOptions } from './supervisor.ts'

export type DevelopmentOptions = Omit<SupervisorOptions, 'environmentOf'>

/**
 * Starts the processes of the formation, and follows its changes. First the backing services are started and the products
 * are made, at the same time; then the release processes run; then all others start.
 *
 * @param running gets each resource as soon as it is open, so that disposal also works in the middle of the start
 */
export async function runDevelopment(
  options: DevelopmentOptions,
  running: AsyncDisposableStack,
): Promise<Supervisor> {
  const { root, port, print } = options
  running.use(await claimClone(root, `http://localhost:${port} (pid ${process.pid})`))
  await assertPortIsFree(port)
  const formation = readFormation(root)
  // The formation of the last release. The release process gets the database URLs of all its apps.
  let known = formation
  assertKnown([...options.only, ...options.inspected], formation)

  const [stores] = await Promise.all([
    openBackingServices(root, process.env, print.say).then((opened) => running.use(opened)),
    makeFor(formation).then(([failed]) => {
      if (failed) throw failed[1]
    }),
  ])
  await release(formation)

  const supervisor = createSupervisor({ ...options, environmentOf })
  running.defer(() => supervisor.stop())
  const problems = await supervisor.follow(formation)
  if (running.disposed) return supervisor
  // On a terminal, the user can correct the file and save it. A script gets an error.
  if (!supervisor.isOfUse() && !print.isTerminal) throw new Error(problems.join('\n'))
  running.use(followEdits({ root, formation, supervisor, print, makeFor, release: releaseEdits }))

  print.table([...supervisor.rows(), ...stores.rows(formation)])
  for (const problem of problems) print.warn(problem)
  const seconds = (performance.now() / 1000).toFixed(1)
  print.say(
    `${problems.length > 0 ? 'the others are ready' : 'ready'} in ${seconds} s: http://localhost:${port}`,
  )
  return supervisor

  /** @returns the members whose product could not be made, each with the reason */
  async function makeFor(formation: Formation): Promise<Map<string, Error>> {
    const failed = new Map<string, Error>()
    const makeOne = (product: Product): Promise<void> =>
      make(root, product, print.say).catch((error: Error) => void failed.set(product.member, error))
    await Promise.all(productsOf(root, formation).map(makeOne))
    return failed
  }

  async function releaseEdits(formation: Formation): Promise<void> {
    await release(formation)
    const edited = await explainEdits(root, stores.admin)
    if (edited) print.warn(edited)
  }

  async function release(formation: Formation): Promise<void> {
    const unread = await findUnreadMigrations(root, stores.admin)
    if (unread) return print.warn(unread)
    known = formation
    for (const type of formation.release) {
      const { name, app, entry } = type
      const onLine = (line: string): void => print.log(name, line)
      const process = await startProcess({
        name,
        cwd: join(root, app),
        entry,
        env: environmentOf(type),
        onLine,
      })
      const { code, signal } = await process.exited
      if (code !== 0) throw new Error(`${name} failed (${signal ?? `exit code ${code}`}), as it says above.`)
    }
  }

  function environmentOf(type: ProcessType): Record<string, string | undefined> {
    return {
      // The edge probes its upstreams ten times a second, so a short drain is enough.
      UPSTREAM_PROBE_MS: '100',
      DRAIN_MS: '150',
      SHUTDOWN_DEADLINE_MS: '4000',
      PUBLIC_ORIGIN: `http://localhost:${port}`,
      // The edge is the proxy. It sends the address of the client.
      TRUST_PROXY: 'loopback',
      ...process.env,
      NODE_ENV: 'development',
      // Not HOST of the shell, which some systems set.
      HOST: '127.0.0.1',
      NODE_COMPILE_CACHE: join(root, '.dev/compile-cache'),
      ...stores.environmentOf(type, known),
    }
  }
}

function assertKnown(asked: string[], { running }: Formation): void {
  const names = running.map(({ name }) => name)
  const unknown = asked.filter((name) => !names.includes(name))
  if (unknown.length === 0) return
  throw new Error(`There is no process type ${unknown.join(', ')}. There are ${names.join(', ')}.`)
}

/** @throws when the edge's port is taken or cannot be used; the message says how to choose another one */
async function assertPortIsFree(port: number): Promise<void> {
  // Both addresses, because "localhost" may mean either, and another program may use only one of them.
  for (const host of ['127.0.0.1', '::1']) {
    const server = createServer()
    try {
      server.listen({ port, host, exclusive: true })
      await once(server, 'listening')
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT') continue
      const why = code === 'EADDRINUSE' ? 'is taken by another program' : `cannot be used (${code})`
      throw new Error(`Port ${port} ${why}. Choose another one: PORT=${port + 1} npx pnpm dev`, {
        cause: error,
      })
    } finally {
      server.close()
    }
  }
}
