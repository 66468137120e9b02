import { describe, expect, test } from 'vitest'
import { createAddressCheck } from '../src/domain/public-address.ts'

const isPublic = createAddressCheck()

test.each([
  '1.1.1.1',
  '93.184.216.34',
  '172.15.255.255',
  '172.32.0.0',
  '2606:4700:4700::1111',
  '2a00:1450::1',
])('%s is on the public internet', (address) => expect(isPublic(address)).toBe(true))

test.each([
  ['this network', ['0.0.0.0', '0.1.2.3']],
  ['loopback', ['127.0.0.1', '127.255.255.254', '::1']],
  ['private', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12:3456::1']],
  ['link-local, where clouds keep their metadata', ['169.254.169.254', '169.254.0.1', 'fe80::1']],
  ['metadata services elsewhere', ['100.100.100.200', '192.0.0.192', 'fd00:ec2::254']],
  ['shared by carriers', ['100.64.0.1', '100.127.255.255']],
  ['multicast and broadcast', ['224.0.0.1', '239.255.255.255', '255.255.255.255', 'ff02::1']],
  [
    'an IPv4 address in IPv6 clothes',
    ['::ffff:127.0.0.1', '::ffff:8.8.8.8', '::127.0.0.1', '::ffff:0:7f00:1'],
  ],
  [
    'translated (NAT64, 6to4, Teredo)',
    ['64:ff9b::7f00:1', '64:ff9b::8.8.8.8', '64:ff9b:1::1', '2002:7f00:1::', '2001::1'],
  ],
  [
    'documentation and benchmarking',
    ['192.0.2.1', '198.51.100.1', '203.0.113.1', '198.18.0.1', '2001:db8::1', '3fff::1'],
  ],
  ['reserved', ['240.0.0.1', '::', '100::1', '5f00::1', '4000::1', 'fec0::1']],
  ['no address at all', ['', 'localhost', '127.1', '1.2.3.4.5', 'fe80::1%eth0']],
])('refuses %s', (_, addresses) => {
  for (const address of addresses) expect([address, isPublic(address)]).toEqual([address, false])
})

describe('exceptions of the operator', () => {
  const isAllowed = createAddressCheck(['127.0.0.1', '10.1.0.0/16', '::1'])

  test('open what they name', () => {
    for (const address of ['127.0.0.1', '10.1.255.1', '::1', '1.1.1.1']) expect(isAllowed(address)).toBe(true)
  })

  test('and nothing beside it', () => {
    for (const address of ['127.0.0.2', '10.2.0.1', 'fe80::1']) expect(isAllowed(address)).toBe(false)
  })
})
