import { exploreInterleavings } from './explore-interleavings.ts'

exploreInterleavings(10_000)
