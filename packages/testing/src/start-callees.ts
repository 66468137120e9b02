import { glob, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/** Nobody listens there. */
const NOWHERE = 'http://127.0.0.1:1'

/** Two processes of a service. */
interface Started {
  process(n: number): { url: string }
}

/**
 * Starts the services that a process type calls.
 *
 * @param names of their process types, whose apps are folders in `apps`
 * @param callers the process types that wait for this start. Where services call each other in a circle, the last of them does not
 *   reach the first.
 * @returns the started services by name, and the value of UPSTREAMS for their caller
 */
export async function startCallees<F extends Started>(
  names: readonly string[],
  apps: string,
  callers: readonly string[],
  start: (folder: string, name: string) => Promise<F>,
): Promise<{ started: Map<string, F>; upstreams: string }> {
  const started = new Map<string, F>()
  const upstreams: string[] = []
  for (const name of names) {
    const { folder, route } = await findService(apps, name)
    if (!callers.includes(name)) started.set(name, await start(folder, name))
    const fleet = started.get(name)
    const urls = fleet ? [1, 2].map((n) => fleet.process(n).url) : [NOWHERE]
    upstreams.push(`${route}=${urls.join('|')}`)
  }
  return { started, upstreams: upstreams.join(',') }
}

async function findService(apps: string, name: string): Promise<{ folder: string; route: string }> {
  for await (const file of glob('*/package.json', { cwd: apps })) {
    const { processes = {} } = JSON.parse(await readFile(join(apps, file), 'utf8')) as {
      processes?: Record<string, { route?: string }>
    }
    const route = processes[name]?.route
    if (route) return { folder: join(apps, dirname(file)), route }
  }
  throw new Error(`No app in ${apps} declares a service ${name}`)
}
