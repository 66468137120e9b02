import { expect, test } from 'vitest'
import { readTemplate } from '../template.ts'

test.each(['database', 'queue'])('nothing of sessions is left in the template %s', (template) => {
  const { files, manifest } = readTemplate(template)
  expect(JSON.stringify(manifest.processes)).not.toContain('session')
  // Files that nothing imports any more are not copied.
  for (const path of ['test/signed-in.ts', 'src/worker-env.ts']) files.delete(path)
  const named = [...files].filter(([, text]) =>
    /session(?!s: without)|user_?id|SignedOut|ada\b|'user'/i.test(text),
  )
  expect(named).toEqual([])
})
