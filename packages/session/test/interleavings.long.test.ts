import { exploreInterleavings } from './explore-interleavings.ts'

exploreInterleavings(Number(process.env.INTERLEAVINGS ?? 10_000), process.env.REPLAY)
