import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { findProgram } from '@repo/testing/programs'
import { parseAllDocuments } from 'yaml'
import { readFormation } from '../../formation.ts'
import { readVariables } from '../variables.ts'
import type { Document } from './find-mistakes.ts'
import { render } from './render.ts'

export const OVERLAYS = ['local', 'staging', 'production']

/** The documents of the base as they are rendered, with the ConfigMaps that Kustomize would generate. */
export async function readBase(root: string): Promise<Document[]> {
  const formation = readFormation(root)
  const files = render(formation, await readVariables(root, formation))
  return files
    .flatMap(([, text]) => parse(text))
    .flatMap((document) => {
      if (document.kind !== 'Kustomization') return [document]
      const { configMapGenerator } = document as unknown as {
        configMapGenerator: {
          name: string
          literals: string[]
          options?: { labels?: Record<string, string> }
        }[]
      }
      return configMapGenerator.map(({ name, literals, options }) => ({
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, ...(options?.labels && { labels: options.labels }) },
        data: Object.fromEntries(literals.map((literal) => literal.split('=') as [string, string])),
      }))
    })
}

/** The documents of an overlay as `kubectl kustomize` renders them. Undefined when this machine has no kubectl. */
export function readOverlay(root: string, overlay: string): Document[] | undefined {
  if (!findProgram('kubectl')) return undefined
  const folder = join(root, 'infra/deploy/kubernetes/overlays', overlay)
  return parse(execFileSync('kubectl', ['kustomize', folder], { encoding: 'utf8', maxBuffer: 1e8 }))
}

function parse(text: string): Document[] {
  return parseAllDocuments(text).map((document) => {
    if (document.errors[0]) throw document.errors[0]
    return document.toJS() as Document
  })
}
