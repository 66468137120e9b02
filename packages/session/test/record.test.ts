import { expect, test } from 'vitest'
import {
  buildRecord,
  changedLines,
  discardChanges,
  openCopy,
  readHead,
  readValue,
  rebase,
} from '../src/record.ts'

const HEAD = '[1,1767225600000,null,""]'

test('over a newer record what was only read follows it, and what was changed stays a change', () => {
  const copy = openCopy(`${HEAD}\n,"read":["old"]\n,"changed":["old"]\n,"kept":["old"]`)
  for (const key of ['read', 'changed', 'kept']) readValue(copy, key)
  ;(readValue(copy, 'changed') as string[]).push('by us')
  rebase(copy, `${HEAD}\n,"read":["new"]\n,"changed":["new"]\n,"kept":["old"]`)
  expect(readValue(copy, 'read')).toEqual(['new'])
  expect(changedLines(copy)).toEqual([[',"changed":', '["old","by us"]']])
})

test('an object that is still held is watched over a newer record that agrees with it', () => {
  const copy = openCopy(`${HEAD}\n,"kept":["old"]`)
  const kept = readValue(copy, 'kept') as string[]
  rebase(copy, `${HEAD}\n,"kept":["old"]\n,"other":1`)
  kept.push('later')
  expect(changedLines(copy)).toEqual([[',"kept":', '["old","later"]']])
})

test('a value that is set to what it was is no change', () => {
  const copy = openCopy(`${HEAD}\n,"theme":"dark"`)
  copy.live.set('theme', 'dark')
  copy.live.set('absent', undefined)
  expect(changedLines(copy)).toEqual([])
})

test('changes that are discarded leave no trace, not even in the objects that were handed out', () => {
  const copy = openCopy(`${HEAD}\n,"cart":["book"]`)
  ;(readValue(copy, 'cart') as string[]).push('pen')
  discardChanges(copy)
  expect(readValue(copy, 'cart')).toEqual(['book'])
  expect(changedLines(copy)).toEqual([])
})

test('a user of a release that noted neither roles nor the proof has no role, and has not proved anything', () => {
  expect(readHead('[1,1767225600000,{"id":"ada"},"Firefox"]')).toEqual({
    createdAt: 1_767_225_600_000,
    user: { id: 'ada' },
    userAgent: 'Firefox',
    provedAt: 0,
  })
})

test('the proof is one more item of the head, which the release before ignores', () => {
  const head = { createdAt: 1, user: { id: 'ada', roles: ['admin'] }, userAgent: 'Firefox', provedAt: 2 }
  expect(JSON.parse(buildRecord(head))).toEqual([1, 1, head.user, 'Firefox', 2])
  expect(readHead(buildRecord(head))).toEqual(head)
  expect(buildRecord({ ...head, user: null })).toBe('[1,1,null,"Firefox"]')
})
