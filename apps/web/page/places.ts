/// <reference types="vite/client" />
import { accountView } from './account.ts'
import type { User } from './sign-in.ts'

/** Somewhere a person who is signed in can be. */
export interface Place {
  /** Of the address: `imports` is `#/imports`. The empty word is where one arrives. */
  word: string
  /** In the navigation. */
  name: string
  /** @param rest what stands in the address after the word: `1` of `#/imports/1` */
  show(user: User, rest: string | undefined): HTMLElement
}

// Each app's part of the page is a folder, which comes and goes with the app.
const ofApps = import.meta.glob<Place[]>('./apps/*/places.ts', { eager: true, import: 'places' })

/** In the order of the navigation. Where no place has the empty word, the first one is where one arrives. */
export const places: readonly Place[] = [
  ...Object.values(ofApps).flat(),
  { word: 'account', name: 'Account', show: accountView },
]
