import { BlockList, isIP } from 'node:net'

/**
 * Addresses outside the public internet. A fetch from them for a user would give the user our access to the network.
 * @see https://www.iana.org/assignments/iana-ipv4-special-registry
 * @see https://www.iana.org/assignments/multicast-addresses
 */
const closedIpv4 = [
  '0.0.0.0/8', // this network
  '10.0.0.0/8', // private use
  '100.64.0.0/10', // shared by carriers (CGNAT)
  '127.0.0.0/8', // loopback
  '169.254.0.0/16', // link-local, and the metadata services of clouds
  '172.16.0.0/12', // private use
  '192.0.0.0/24', // protocol assignments
  '192.0.2.0/24', // documentation
  '192.31.196.0/24', // AS112
  '192.52.193.0/24', // multicast tunnelling (AMT)
  '192.88.99.0/24', // 6to4 relays, deprecated
  '192.168.0.0/16', // private use
  '192.175.48.0/24', // AS112
  '198.18.0.0/15', // benchmarking
  '198.51.100.0/24', // documentation
  '203.0.113.0/24', // documentation
  '224.0.0.0/4', // multicast
  '240.0.0.0/4', // reserved, and broadcast
]

/**
 * For IPv6 the open networks are listed: only 2000::/3 is assigned. Loopback, unique local, link-local, multicast, addresses
 * that contain an IPv4 address (`::ffff:0:0/96`, NAT64 `64:ff9b::/96` and `64:ff9b:1::/48`) and segment identifiers are
 * outside.
 * @see https://www.iana.org/assignments/ipv6-address-space
 * @see https://www.iana.org/assignments/iana-ipv6-special-registry
 */
const openIpv6 = ['2000::/3']
const closedIpv6 = [
  '2001::/23', // protocol assignments: Teredo, benchmarking, ORCHID
  '2001:db8::/32', // documentation
  '2002::/16', // 6to4, which contains an IPv4 address
  '2620:4f:8000::/48', // AS112
  '3fff::/20', // documentation
]

const closed = listOf([...closedIpv4, ...closedIpv6])
const open = listOf(openIpv6)

/** Whether we may connect to an IP address for a user: the public internet, and what the operator allows. */
export type AddressCheck = (address: string) => boolean

/** @param exceptions addresses or subnets (`127.0.0.1`, `10.1.0.0/16`) that are allowed besides the public internet. */
export function createAddressCheck(exceptions: readonly string[] = []): AddressCheck {
  const allowed = listOf(exceptions)
  return (address) => {
    const version = isIP(address)
    if (version === 0) return false
    const family = version === 4 ? 'ipv4' : 'ipv6'
    if (allowed.check(address, family)) return true
    return !closed.check(address, family) && (version === 4 || open.check(address, family))
  }
}

function listOf(subnets: readonly string[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) {
    const [address = '', prefix] = subnet.split('/')
    const isIpv4 = isIP(address) === 4
    list.addSubnet(address, Number(prefix ?? (isIpv4 ? 32 : 128)), isIpv4 ? 'ipv4' : 'ipv6')
  }
  return list
}
