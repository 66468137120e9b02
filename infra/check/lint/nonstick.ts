import { filePaths } from './file-paths.ts'
import { shareNothing } from './share-nothing.ts'
import { visiblePatterns } from './visible-patterns.ts'

// oxlint requires a default export.
// oxlint-disable-next-line import/no-default-export
export default {
  meta: { name: 'nonstick' },
  rules: { 'file-paths': filePaths, 'share-nothing': shareNothing, 'visible-patterns': visiblePatterns },
}
