import { expect, test } from 'vitest'
import { describeAbsent } from './absent.ts'

test('an absent program has one line: how many tests were skipped for it, what they are about, how to install it', () => {
  expect(describeAbsent(['redis', 'haproxy'], { redis: 31, haproxy: 1 })).toEqual([
    'absent   redis-server or valkey-server: 31 tests of sessions, limits and faults on Redis were skipped. apt install redis-server, or brew install redis',
    'absent   haproxy: 1 test of the load balancer and its configuration was skipped. apt install haproxy, or brew install haproxy',
  ])
})

test('one for which nothing was skipped says what is so without it', () => {
  expect(describeAbsent(['chromium'], {})).toEqual([
    'absent   chromium or chromium-browser or google-chrome: no test was skipped, the page was tried in no browser. apt install chromium, or brew install --cask chromium',
  ])
})

test('Valkey is named as absent where Redis is installed, and not named twice where neither is', () => {
  expect(describeAbsent(['valkey'], {})).toEqual([
    'absent   valkey-server: no test was skipped, Redis stood for it. apt install valkey-server, or brew install valkey',
  ])
  expect(describeAbsent(['redis', 'valkey'], { redis: 2 })).toEqual([
    'absent   redis-server or valkey-server: 2 tests of sessions, limits and faults on Redis were skipped. apt install redis-server, or brew install redis',
  ])
})

test('a program that is looked for in many folders is named once', () => {
  expect(describeAbsent(['pgDump'], { pgDump: 2 })).toEqual([
    expect.stringMatching(/^absent   pg_dump: 2 tests of backup and restore were skipped\. apt install/),
  ])
})
