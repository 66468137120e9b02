export { answers, call, Problem } from './call.ts'
export { h } from './element.ts'
export { formOf } from './form.ts'
export type { OpenPlace, Place, User } from './place.ts'
