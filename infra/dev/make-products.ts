import { globSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { readFormation } from '../formation.ts'
import { clientOf, make, productsOf } from './make.ts'

// The `made` script of infra: all that TypeScript and the tests of the whole house stand on, the clients of templates and of the
// tests of packages among it.
const root = resolve(import.meta.dirname, '../..')
const templates = globSync('infra/generator/templates/*/schema.prisma', { cwd: root })
const fixtures = globSync('packages/*/test/fixture/*/schema.prisma', { cwd: root })
const products = [
  ...productsOf(root, readFormation(root)),
  ...templates.map((schema) => clientOf(dirname(schema))),
  ...fixtures.map((schema) => {
    const [member, folder] = dirname(schema).split(/(?<=^packages\/[^/]+)\//)
    return { ...clientOf(member!), sources: [folder!], result: `${folder}/src/generated` }
  }),
]
await Promise.all(products.map((product) => make(root, product, console.log)))
