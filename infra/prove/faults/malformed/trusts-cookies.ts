import { Server, type IncomingMessage } from 'node:http'

// Decodes cookies without handling those that cannot be decoded.
const emit = Server.prototype.emit
Object.assign(Server.prototype, {
  emit(this: Server, event: string, ...args: [IncomingMessage]) {
    if (event === 'request' && args[0].headers.cookie) decodeURIComponent(args[0].headers.cookie)
    return Reflect.apply(emit, this, [event, ...args])
  },
})
