/// <reference types="vite/client" />
import type { Place } from '@repo/page'
import { accountView } from './account.ts'

// Each app's part of the page is in its own folder, and is added and removed with it. Vite leaves out this file.
const ofApps = import.meta.glob<Place[]>('../../*/page/places.ts', { eager: true, import: 'places' })

/** In the order of the navigation. If no place has the empty word, the first one is the start. */
export const places: readonly Place[] = [
  ...Object.values(ofApps).flat(),
  { word: 'account', name: 'Account', show: accountView },
]
