// Preloaded into each server: it tells its own CPU time, in microseconds, whenever the bench asks.
process.on('message', () => {
  const { user, system } = process.cpuUsage()
  process.send!(user + system)
})
// The channel alone keeps no server alive once the bench is gone.
process.on('disconnect', () => process.exit())
