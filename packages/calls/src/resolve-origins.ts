import { lookup as systemLookup } from 'node:dns/promises'
import { isIP } from 'node:net'

/** All addresses of a name, as `dns.lookup` with `all` gives them. */
export type Lookup = (name: string) => Promise<{ address: string; family: number }[]>

/** The lookup of the operating system, which also knows the names of containers and of hosts files. */
export const lookupAll: Lookup = (name) => systemLookup(name, { all: true })

/** Whether a URL has a host name, whose addresses can change, and not an IP address. */
export function hasName(url: URL): boolean {
  return isIP(hostOf(url)) === 0
}

/**
 * The present origins of a URL, one for each address of its name.
 *
 * @param before the origins of the last call; they are returned when the resolver itself fails
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
