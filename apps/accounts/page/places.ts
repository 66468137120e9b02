import type { OpenPlace, Place } from '@repo/page'
import { accountView } from './account.ts'
import { confirmView, forgottenView, resetView } from './mailed-links.ts'

export const places: Place[] = [{ word: 'account', name: 'Account', show: accountView }]

export const openPlaces: OpenPlace[] = [
  { word: 'forgotten', show: forgottenView },
  { word: 'reset', show: (token = '') => resetView(token) },
  { word: 'confirm', show: (token = '') => confirmView(token) },
]
