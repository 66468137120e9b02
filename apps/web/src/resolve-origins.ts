import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** All addresses of a name, as `dns.lookup` with `all` gives them. */
export type Lookup = (name: string) => Promise<{ address: string; family: number }[]>

/** The system's own, which knows what containers and hosts files know. */
export const lookupAll: Lookup = (name) => systemLookup(name, { all: true })

/** Whether a URL names a host that can have other addresses tomorrow. */
export function hasName(url: URL): boolean {
  return isIP(hostOf(url)) === 0
}

/**
 * The origins that a URL stands for at this moment, one for each address of its name.
 *
 * @param before what it stood for last time: the best we know when the resolver itself fails
 */
export async function resolveOrigins(url: URL, before: string[], lookup: Lookup): Promise<string[]> {
  if (!hasName(url)) return [url.origin]
  try {
    return (await lookup(hostOf(url))).map(({ address, family }) => {
      const resolved = new URL(url)
      resolved.hostname = family === 6 ? `[${address}]` : address
      return resolved.origin
    })
  } catch (error) {
    // The name has no address: the service has no process.
    return (error as NodeJS.ErrnoException).code === 'ENOTFOUND' ? [] : before
  }
}

function hostOf({ hostname }: URL): string {
  return hostname.replace(/^\[(.*)\]$/, '$1')
}
