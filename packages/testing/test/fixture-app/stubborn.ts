/** Never becomes ready: it prints a reason and exits. */
process.stderr.write('I was not meant for this world\n')
process.exitCode = 9
