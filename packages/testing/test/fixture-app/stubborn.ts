/** Never ready: it says why and leaves. */
process.stderr.write('I was not meant for this world\n')
process.exitCode = 9
