/**
 * What one subscriber holds: a single IPv4 address, or the 2^64 addresses of an IPv6 network, among which they may pick
 * another for each request.
 *
 * @see RFC 6177
 */
export function networkOf(address: string): string {
  const [bare = ''] = address.replace(/^::ffff:(?=\d+\.)/i, '').split('%')
  // The URL standard writes an IPv6 address in its one canonical form.
  const canonical = bare.includes(':') && URL.parse(`http://[${bare}]`)?.hostname.slice(1, -1)
  if (!canonical) return bare

  const [head = '', tail] = canonical.split('::')
  const groups = head === '' ? [] : head.split(':')
  const after = tail ? tail.split(':') : []
  const all = [...groups, ...Array<string>(8 - groups.length - after.length).fill('0'), ...after]
  return `${all.slice(0, 4).join(':')}::/64`
}
