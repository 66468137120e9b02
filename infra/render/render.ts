import type { Formation } from '../formation.ts'
import { renderCompose } from './compose.ts'
import { renderEnvExample } from './env-example.ts'
import { renderKubernetes } from './kubernetes.ts'
import { renderProcessTypes } from './process-types.ts'
import { renderProcfile } from './procfile.ts'
import { readVariables } from './variables.ts'

/** Every file that is derived from the formation, by its path from the root on. */
export async function render(root: string, formation: Formation): Promise<Map<string, string>> {
  const variables = await readVariables(root, formation)
  return new Map([
    ['Procfile', renderProcfile(formation)],
    ['.env.example', renderEnvExample(formation, variables)],
    ['docs/process-types.md', renderProcessTypes(formation)],
    ['infra/compose.yaml', renderCompose(formation, variables)],
    ...renderKubernetes(formation, variables),
  ])
}
