import { exploreInterleavings } from './explore-interleavings.ts'

exploreInterleavings(60, process.env.REPLAY)
