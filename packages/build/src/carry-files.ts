import { existsSync, globSync } from 'node:fs'
import { cp, mkdir, readdir, rm } from 'node:fs/promises'
import { basename, dirname, join, relative, resolve, sep } from 'node:path'
import type { Plugin } from 'rolldown'

const NAMED = /new URL\('(\.[^']+)', import\.meta\.url\)/g

/**
 * Copies the files that our modules read at run time: a file or folder that is named as
 * `new URL('../migrations', import.meta.url)`, the form that bundlers for the web accept. It is copied beside the bundle,
 * unless an earlier step of the build has put it there, and the bundle finds it there. If a star replaces a folder, in
 * `apps` for example, everything that matches is copied below that name: `apps/orders/migrations`.
 *
 * @throws when it is missing, or two have the same name
 */
export function carryFiles(folder: string, target: string): Plugin {
  const carried = new Map<string, string>()

  function carry(path: string, module: string): string {
    const star = path.indexOf(`${sep}*`)
    if (star !== -1) {
      const parent = path.slice(0, star)
      for (const found of globSync(path.slice(star + 1), { cwd: parent }))
        carried.set(join(basename(parent), found), join(parent, found))
      return join(basename(parent), path.slice(star + 1))
    }
    if (!existsSync(path)) throw new Error(`${relative(folder, module)} names ${path}, which is not there`)
    const isThere = path.startsWith(target + sep)
    const name = isThere ? relative(target, path) : basename(path)
    const other = carried.get(name)
    if (other && other !== path) throw new Error(`${other} and ${path} would both be ${name} in the bundle`)
    carried.set(name, path)
    return name
  }

  return {
    name: 'carry-files',
    transform: {
      filter: { id: { exclude: /node_modules/ }, code: 'import.meta.url' },
      handler(code, module) {
        const found = code.replace(NAMED, (_, path: string) => {
          return `new URL('./${carry(resolve(dirname(module), path), module)}', import.meta.url)`
        })
        // Lines keep their numbers, and so do the positions in the source map.
        return { code: found, map: null }
      },
    },
    // Removes the files of an earlier build, but not those of an earlier step of this one.
    async generateBundle() {
      const kept = new Set([...carried.keys()].map((name) => name.split(sep)[0]!))
      await mkdir(target, { recursive: true })
      for (const name of await readdir(target)) {
        if (!kept.has(name)) await rm(join(target, name), { recursive: true })
      }
    },
    async writeBundle() {
      for (const [name, path] of carried) {
        if (join(target, name) !== path) await cp(path, join(target, name), { recursive: true })
      }
    },
  }
}
