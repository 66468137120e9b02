/// <reference types="vite/client" />
import type { Place } from '@repo/page'
import { accountView } from './account.ts'

// Each app's part of the page stands in its own folder, and comes and goes with it. Vite leaves out the file that asks.
const ofApps = import.meta.glob<Place[]>('../../*/page/places.ts', { eager: true, import: 'places' })

/** In the order of the navigation. Where no place has the empty word, the first one is where one arrives. */
export const places: readonly Place[] = [
  ...Object.values(ofApps).flat(),
  { word: 'account', name: 'Account', show: accountView },
]
