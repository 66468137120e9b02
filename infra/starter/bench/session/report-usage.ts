// Preloaded into each server: for each message from the bench it reports CPU microseconds and bytes of memory.
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send!({ cpuUs: user + system, memoryBytes: process.memoryUsage.rss() })
})
// The server exits when the bench has ended.
process.on('disconnect', () => process.exit())
