import { appendFileSync } from 'node:fs'
import { Server, type IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// A service that logs requests to a file.
const emit = Server.prototype.emit
Object.assign(Server.prototype, {
  emit(this: Server, event: string, ...args: [IncomingMessage]) {
    if (event === 'request') appendFileSync(join(tmpdir(), `nonstick-prove-requests`), `${args[0].url}\n`)
    return Reflect.apply(emit, this, [event, ...args])
  },
})
