import type { Place } from '@repo/page'
import { importsView } from './imports.ts'
import { bookmarksView } from './list.ts'
import './style.css'

export const places: Place[] = [
  { word: '', name: 'Bookmarks', show: () => bookmarksView() },
  { word: 'imports', name: 'Import', show: (_user, id) => importsView(id) },
]
