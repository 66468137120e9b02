/// <reference types="vite/client" />
import type { OpenPlace, Place } from '@repo/page'

// Each app's part of the page is in its own folder, and is added and removed with it.
const ofApps = import.meta.glob<{ places?: Place[]; openPlaces?: OpenPlace[] }>('../../*/page/places.ts', {
  eager: true,
})
const parts = Object.values(ofApps)

const isStart = ({ word }: Place): boolean => word === ''

/** In the order of the navigation: the app with the start is first. If no place has the empty word, the first one is the start. */
export const places: readonly Place[] = parts
  .map(({ places = [] }) => places)
  .sort((a, b) => Number(b.some(isStart)) - Number(a.some(isStart)))
  .flat()

export const openPlaces: readonly OpenPlace[] = parts.flatMap(({ openPlaces = [] }) => openPlaces)
