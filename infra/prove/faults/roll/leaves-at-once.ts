// An edge that does not drain: on SIGTERM it is gone, with all it was about to answer.
if (process.env.PROCESS_NAME?.startsWith('web.')) process.on('SIGTERM', () => process.exit(0))
