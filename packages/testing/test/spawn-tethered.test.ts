import { Readable } from 'node:stream'
import { expect, test } from 'vitest'
import { readLines, spawnTethered } from '../src/spawn-tethered.ts'

test('output of a process is reported line by line, and a line of JSON stays one line with any content', async () => {
  const text = 'a\u2028b\u2029c\rd\u0085e'
  const lines: string[] = []
  const running = spawnTethered(
    process.execPath,
    ['-e', `console.log(${JSON.stringify(JSON.stringify(text))}); process.stdout.write('the end')`],
    { env: {}, onLine: (line) => lines.push(line) },
  )
  await running.exited
  expect(lines).toEqual([JSON.stringify(text), 'the end'])
})

test('lines are separated only at line feeds, wherever the chunks are', async () => {
  const bytes = Buffer.from('one\r\ntwo ž\n\nfour\u2028still')
  const lines: string[] = []
  const stream = Readable.from(
    Array.from(bytes, (byte) => Buffer.from([byte])),
    { objectMode: false },
  )
  readLines(stream, (line) => lines.push(line))
  await new Promise((resolve) => stream.once('close', resolve))
  expect(lines).toEqual(['one', 'two ž', '', 'four\u2028still'])
})
