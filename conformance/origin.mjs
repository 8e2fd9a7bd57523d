// Starts the suite's origin server on the loopback interface only; the suite itself would listen on all of them.
//
//   npm_config_port=0 npm_config_protocol=http npm_config_pidfile=FILE node origin.mjs SERVER
//
// The server prints its address once it listens.

import net from 'node:net'
import { pathToFileURL } from 'node:url'

const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port) {
  return listen.call(this, port, '127.0.0.1')
}
await import(pathToFileURL(process.argv[2]))
