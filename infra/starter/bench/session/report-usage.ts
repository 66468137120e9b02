// Preloaded into each server: it tells what it has used, CPU microseconds and memory, whenever the bench asks.
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send!({ cpuUs: user + system, memoryBytes: process.memoryUsage.rss() })
})
// The channel alone keeps no server alive once the bench is gone.
process.on('disconnect', () => process.exit())
