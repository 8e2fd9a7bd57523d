package programs

import (
	"net/http"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

func TestNode(t *testing.T) {
	node, file := &program{exe: peer.Program(t, "apt-get install nodejs", "node")}, content(1<<20)
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) { serveBytes(w, r, file) })
	const script = `
const assert = require("assert");
(async () => {
	const url = process.argv[1];
	const first = await fetch(url), text = await first.text();
	const second = await fetch(url);
	assert.equal(await second.text(), text);
	assert.match(second.headers.get("cache-status"), /hit/);
	const stop = new AbortController();
	const aborted = await fetch(url, {signal: stop.signal});
	await aborted.body.getReader().read();
	stop.abort();
	assert.equal(await (await fetch(url)).text(), text);
	const current = await fetch(url, {headers: {"If-None-Match": first.headers.get("etag")}});
	assert.equal(current.status, 304);
	console.log("done");
})();
`
	equal(t, "node", node.run(t, "-e", script, startProxy(t, o)+"/file"), "done\n")
	o.expect(t, "node", "GET /file 200", "GET /file 304") // fetch adds no-cache to a conditional request
}
