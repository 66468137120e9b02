import { expect, test } from 'vitest'
import { changedLines, discardChanges, openData, readValue, rebase } from '../src/session-data.ts'

const HEAD = '[1,1767225600000,null,""]'

test('over a newer record what was only read follows it, and what was changed stays a change', () => {
  const data = openData(`${HEAD}\n,"read":["old"]\n,"changed":["old"]\n,"kept":["old"]`)
  for (const key of ['read', 'changed', 'kept']) readValue(data, key)
  ;(readValue(data, 'changed') as string[]).push('by us')
  rebase(data, `${HEAD}\n,"read":["new"]\n,"changed":["new"]\n,"kept":["old"]`)
  expect(readValue(data, 'read')).toEqual(['new'])
  expect(changedLines(data)).toEqual([[',"changed":', '["old","by us"]']])
})

test('an object that is still held is watched over a newer record that agrees with it', () => {
  const data = openData(`${HEAD}\n,"kept":["old"]`)
  const kept = readValue(data, 'kept') as string[]
  rebase(data, `${HEAD}\n,"kept":["old"]\n,"other":1`)
  kept.push('later')
  expect(changedLines(data)).toEqual([[',"kept":', '["old","later"]']])
})

test('a value that is set to what it was is no change', () => {
  const data = openData(`${HEAD}\n,"theme":"dark"`)
  data.live.set('theme', 'dark')
  data.live.set('absent', undefined)
  expect(changedLines(data)).toEqual([])
})

test('changes that are discarded leave no trace, not even in the objects that were handed out', () => {
  const data = openData(`${HEAD}\n,"cart":["book"]`)
  ;(readValue(data, 'cart') as string[]).push('pen')
  discardChanges(data)
  expect(readValue(data, 'cart')).toEqual(['book'])
  expect(changedLines(data)).toEqual([])
})
