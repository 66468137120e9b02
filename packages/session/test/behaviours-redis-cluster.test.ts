import { playBehaviours } from './play-behaviours.ts'

await playBehaviours('Redis Cluster')
