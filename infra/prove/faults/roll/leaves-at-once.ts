// An edge that does not drain: on SIGTERM it exits at once, with requests in flight.
if (process.env.PROCESS_NAME?.startsWith('web.')) process.on('SIGTERM', () => process.exit(0))
