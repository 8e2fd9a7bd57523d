// Starts the suite's origin server on the loopback interface only; the suite itself would listen on all of them.
//
//   npm_config_port=0 npm_config_protocol=http npm_config_pidfile=FILE node origin.mjs SERVER
//
// The server prints its address once it listens.

import http from 'node:http'
import net from 'node:net'
import { pathToFileURL } from 'node:url'

const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port) {
  return listen.call(this, port, '127.0.0.1')
}

// headers-store-Content-Length sends more bytes than it announces. The surplus would be read as the response to the next
// request on the connection, which is another test's. So such a response ends its connection.
const end = http.ServerResponse.prototype.end
http.ServerResponse.prototype.end = function (content, ...rest) {
  const announced = this.getHeader('Content-Length')
  if (announced !== undefined && Number(announced) !== Buffer.byteLength(content ?? '')) {
    this.shouldKeepAlive = false
  }
  return end.call(this, content, ...rest)
}

await import(pathToFileURL(process.argv[2]))
