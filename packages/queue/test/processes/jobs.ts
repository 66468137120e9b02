import { Type } from 'typebox'
import { defineJob } from '../../src/index.ts'

/** Writes a line of the table `runs`. */
export const note = defineJob({ name: 'test.note', payload: Type.Object({ text: Type.String() }) })

/** Writes a line when it begins, another when it is aborted or has waited long enough. */
export const wait = defineJob({ name: 'test.wait', payload: Type.Object({ ms: Type.Number() }) })

/** As `wait`, and never a second time. */
export const once = defineJob({ ...wait, name: 'test.once', retry: { attempts: 1 } })

/** Writes a line when it begins, and after so long another one, in a transaction of the job. */
export const store = defineJob({ name: 'test.store', payload: Type.Object({ ms: Type.Number() }) })
