/** Loaded before a program, it makes the program's clock run a day ahead. */
const { now } = Date
const aheadMs = 24 * 60 * 60_000
Date.now = () => now() + aheadMs
globalThis.Date = new Proxy(Date, {
  construct: (target, args) => Reflect.construct(target, args.length > 0 ? args : [now() + aheadMs]),
})
