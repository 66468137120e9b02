import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Refusal } from '@repo/generator'
import { readFormation } from '../formation.ts'

/** The names that a new app or package cannot have, and who has them: folders, npm names, process types, routes. */
export function takenNames(root: string): Map<string, string> {
  const taken = new Map<string, string>()
  for (const parent of ['apps', 'packages', 'packages/generator/templates']) {
    for (const folder of listMembers(root, parent)) {
      const place = `${parent}/${folder}`
      const { name } = JSON.parse(readFileSync(join(root, place, 'package.json'), 'utf8')) as { name: string }
      taken.set(name.replace('@repo/', ''), place)
      if (parent !== 'packages/generator/templates') taken.set(folder, place)
    }
  }
  taken.set('infra', 'infra')
  const { release, running } = readFormation(root)
  for (const { name, route, app } of [...release, ...running]) {
    taken.set(name, `a process type of ${app}`)
    const [, word] = /^\/api\/([^/]+)$/.exec(route ?? '') ?? []
    if (word) taken.set(word, `the route of ${app}`)
  }
  return taken
}

/** @throws {Refusal} */
export function assertApp(root: string, name: string): void {
  const apps = listApps(root)
  if (!apps.includes(name)) throw new Refusal(`There is no app ${name}. There are ${apps.join(', ')}.`)
}

export function listApps(root: string): string[] {
  return listMembers(root, 'apps')
}

function listMembers(root: string, parent: string): string[] {
  return readdirSync(join(root, parent)).filter((name) =>
    existsSync(join(root, parent, name, 'package.json')),
  )
}
