import { exploreInterleavings } from './explore-interleavings.ts'

exploreInterleavings(300, process.env.REPLAY)
