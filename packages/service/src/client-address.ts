import type { IncomingMessage } from 'node:http'
import { BlockList, isIPv4, isIPv6 } from 'node:net'
import type { FastifyBaseLogger } from 'fastify'

/** RFC 7239's word for an unknown address, for example of a closed connection. */
const UNKNOWN = 'unknown'

/** Names that TRUST_PROXY takes beside addresses and networks. */
const NAMED_NETWORKS: Record<string, readonly string[]> = {
  loopback: ['127.0.0.0/8', '::1/128'],
  linklocal: ['169.254.0.0/16', 'fe80::/10'],
  uniquelocal: ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', 'fc00::/7'],
}

/**
 * Returns an address in its one form by RFC 5952. Proxies also write `ip:port` and `[v6]:port`, dual-stack machines write
 * `::ffff:192.0.2.1`, and an IPv6 address may have a zone. All that is dropped: otherwise one client would count as several.
 *
 * @returns null when it is not an address, such as `unknown` or `_hidden`
 * @see RFC 7239, 6
 */
export function canonicalAddress(text: string): string | null {
  if (isIPv4(text)) return text
  const node = /^\[([^\]]+)\](?::\w+)?$/.exec(text) ?? /^([\d.]+):\w+$/.exec(text)
  const [bare = ''] = (node?.[1] ?? text).split('%', 1)
  if (isIPv4(bare)) return bare
  if (!isIPv6(bare)) return null
  // The URL standard writes an address as RFC 5952 does, except for an IPv4 address inside.
  const canonical = new URL(`http://[${bare}]`).hostname.slice(1, -1)
  const mapped = /^::ffff:([\da-f]+):([\da-f]+)$/.exec(canonical)
  if (!mapped) return canonical
  const [high, low] = [parseInt(mapped[1]!, 16), parseInt(mapped[2]!, 16)]
  return [high >> 8, high & 255, low >> 8, low & 255].join('.')
}

/**
 * Returns the network of one subscriber: an IPv4 address, or a /64 of IPv6, in which a subscriber may use another of 2^64
 * addresses for each request. A text that is not an address is returned as it is.
 *
 * @see RFC 6177
 */
export function networkOf(address: string): string {
  const canonical = canonicalAddress(address)
  if (!canonical?.includes(':')) return canonical ?? address
  const [head = '', tail] = canonical.split('::')
  const [before, after] = [head, tail ?? ''].map((half) => half.split(':').filter(Boolean))
  const zeros = tail === undefined ? [] : Array<string>(8 - before!.length - after!.length).fill('0')
  const subscriber = [...before!, ...zeros, ...after!].slice(0, 4).join(':')
  return `${canonicalAddress(`${subscriber}::`)}/64`
}

/** Whether TRUST_PROXY takes this text. */
export function isProxy(text: string): boolean {
  try {
    trust([text])
    return true
  } catch {
    return false
  }
}

/**
 * Returns a function that says whether a canonical address belongs to one of these proxies.
 *
 * @param proxies addresses, networks, and `loopback`, `linklocal`, `uniquelocal`
 * @throws when one of them is something else
 */
export function trust(proxies: readonly string[]): (address: string) => boolean {
  const trusted = new BlockList()
  for (const network of proxies.flatMap((name) => NAMED_NETWORKS[name] ?? name)) {
    const [address = '', bits] = network.split('/')
    const family = isIPv4(address) ? 'ipv4' : 'ipv6'
    if (bits === undefined) trusted.addAddress(address, family)
    else trusted.addSubnet(address, /^\d{1,3}$/.test(bits) ? Number(bits) : NaN, family)
  }
  return (address) => address !== UNKNOWN && trusted.check(address, address.includes(':') ? 'ipv6' : 'ipv4')
}

/**
 * Returns the canonical addresses of a request: first that of the connection, then those of X-Forwarded-For, read from its
 * end as long as the address before is a trusted proxy. The last one is the client.
 *
 * An entry that is not an address ends the list, and the proxy that wrote it is the client. Otherwise each new word would be
 * a new client for all limits.
 */
export function addressesOf(
  { socket, headers }: IncomingMessage,
  isTrusted: (address: string) => boolean,
): string[] {
  const addresses = [canonicalAddress(socket.remoteAddress ?? '') ?? UNKNOWN]
  const forwardedFor = String(headers['x-forwarded-for'] ?? '')
  for (let end = forwardedFor.length; end > 0 && isTrusted(addresses.at(-1)!);) {
    const comma = forwardedFor.lastIndexOf(',', end - 1)
    const entry = forwardedFor.slice(comma + 1, end).trim()
    end = comma
    // Lists may have empty elements. @see RFC 9110, 5.6.1
    if (entry === '') continue
    const address = canonicalAddress(entry)
    if (address === null) break
    addresses.push(address)
  }
  return addresses
}

/** After so many requests in a row from one client, the service warns. */
const SUSPICIOUS_RUN = 200

/**
 * Returns a function to call with each request, which warns once when all seem to come from one client. Then TRUST_PROXY
 * does not name the proxy in front, or the network hides the clients (source NAT), so all clients share their limits. A
 * proxy that is not trusted counts as the same client as the one before, because there may be several such proxies.
 */
export function watchForOneClient(
  log: FastifyBaseLogger,
): (client: string, request: { isForwarded: boolean; isBelieved: boolean }) => void {
  let previous = ''
  let run = 0

  return (client, { isForwarded, isBelieved }) => {
    if (run === SUSPICIOUS_RUN) return
    run = client === previous || (isForwarded && !isBelieved) ? run + 1 : 1
    previous = client
    if (run < SUSPICIOUS_RUN) return
    log.warn(
      { client, isForwarded, isBelieved },
      `The last ${run} requests came from one client, or through a proxy that TRUST_PROXY does not name. ` +
        'If there are more, limits take them for one: see "The address of a client" in docs/operations.md.',
    )
  }
}
