import { plant } from '../../../../../../infra/prove/faults/plant.ts'

const FILE = 'packages/database/src/limit-queries.ts'

// Searches that take any connection of the pool, and any number of connections for one user.
plant(FILE, 'using _turn = await takeTurn(userId, waitMs, signal)', '')
plant(FILE, 'hashtext(${userId}))`', 'hashtext(${crypto.randomUUID()}))`')
