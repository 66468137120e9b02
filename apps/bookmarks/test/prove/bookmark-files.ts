import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** Serves bookmark files that are generated for each request, always the same. */
export interface BookmarkFiles extends AsyncDisposable {
  /** The URL of a file with so many links. No link is in another file. */
  urlOf(name: string, links: number): string
  /** The number of requests for each file. */
  readonly asked: ReadonlyMap<string, number>
}

/** @param pauseMs how long each file takes to arrive, so that a process can be killed meanwhile */
export async function serveBookmarkFiles(pauseMs: number): Promise<BookmarkFiles> {
  const asked = new Map<string, number>()
  const server = createServer(async (request, response) => {
    const [, name = '', links] = request.url!.split('/')
    asked.set(name, (asked.get(name) ?? 0) + 1)
    response.setHeader('content-type', 'text/html')
    response.write('<!DOCTYPE NETSCAPE-Bookmark-file-1>\n<DL><p>\n')
    await sleep(pauseMs)
    for (let n = 1; n <= Number(links); n++) {
      response.write(
        `<DT><A HREF="https://prove.example/${name}/${n}" ADD_DATE="1700000000">${name} ${n}</A>\n`,
      )
    }
    response.end('</DL><p>\n')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    urlOf: (name, links) => `http://127.0.0.1:${port}/${name}/${links}`,
    asked,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections()
      server.close()
    },
  }
}
