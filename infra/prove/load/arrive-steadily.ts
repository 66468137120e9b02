import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'
import { signUp, WHO_AM_I, type Person } from './person.ts'

/** New users who sign up one after the other. Each sign-up is a write to the session store. */
export interface Arrivals {
  /** Stops the sign-ups. Resolves to how many succeeded, and to those whose session is gone (401). */
  findForgotten(): Promise<{ letIn: number; forgotten: { person: Person; at: number }[] }>
}

export function arriveSteadily(url: string, everyMs = 250): Arrivals {
  const agent = new Agent({ connections: 16 })
  const letIn: { person: Person; at: number }[] = []
  const stopping = new AbortController()
  const arriving = arrive()

  async function arrive(): Promise<void> {
    for (let n = 1; !stopping.signal.aborted; n++) {
      const email = `arrival-${n}-${process.pid}-${Math.round(performance.now())}@prove.example`
      const person = await signUp({ url, dispatcher: agent }, email).catch(() => undefined)
      if (person) letIn.push({ person, at: performance.now() })
      await sleep(everyMs)
    }
  }

  return {
    async findForgotten() {
      stopping.abort()
      await arriving
      const forgotten: typeof letIn = []
      for (const arrival of letIn) {
        const { status } = await arrival.person.ask({ method: 'GET', path: WHO_AM_I })
        if (status === 401) forgotten.push(arrival)
      }
      await agent.destroy()
      return { letIn: letIn.length, forgotten }
    },
  }
}
