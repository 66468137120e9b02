export { countAnyName } from './count-any-name.ts'
