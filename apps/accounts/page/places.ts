import type { Place } from '@repo/page'
import { accountView } from './account.ts'

// keep: mail
export { openPlaces } from './mailed-links.ts'
// /keep

export const places: Place[] = [{ word: 'account', name: 'Account', show: accountView }]
