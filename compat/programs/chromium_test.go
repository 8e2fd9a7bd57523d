package programs

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/net/websocket"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// A page with a script, which reads a file, gets server-sent events one by one, and talks through a WebSocket. It
// reports what it has got to the origin.
func TestChromium(t *testing.T) {
	exe := peer.Program(t, "apt-get install chromium", "chromium", "chromium-browser", "google-chrome")
	const script = `
const text = await (await fetch("/text")).text();
const events = new EventSource("/events");
const got = [];
await new Promise(done => events.onmessage = async e => {
	got.push(e.data);
	await fetch("/next", {method: "POST"});
	if (got.length == 3) done();
});
events.close();
const socket = new WebSocket(location.origin.replace("http", "ws") + "/socket");
await new Promise(done => socket.onopen = done);
for (const word of ["knock", "who"]) {
	socket.send(word);
	got.push(await new Promise(done => socket.onmessage = e => done(e.data)));
}
await fetch("/done", {method: "POST", body: text + " " + got.join(" ")});
`
	next, done := make(chan bool), make(chan string, 1)
	echo := websocket.Server{Handler: func(c *websocket.Conn) { io.Copy(c, c) }}
	o := newOrigin(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "max-age=3600")
		switch r.URL.Path {
		case "/":
			w.Header().Set("Content-Type", "text/html")
			io.WriteString(w, `<!DOCTYPE html><link rel="icon" href="data:,"><script type="module" src="/script.js"></script>`)
		case "/script.js":
			w.Header().Set("Content-Type", "text/javascript")
			io.WriteString(w, script)
		case "/text":
			io.WriteString(w, "hello")
		case "/events":
			w.Header().Set("Content-Type", "text/event-stream")
			w.Header().Set("Cache-Control", "no-store")
			for i := range 3 {
				fmt.Fprintf(w, "data: %d\n\n", i)
				http.NewResponseController(w).Flush()
				select {
				case <-next:
				case <-r.Context().Done():
					return
				}
			}
		case "/next":
			select {
			case next <- true:
			case <-r.Context().Done():
			}
		case "/socket":
			echo.ServeHTTP(w, r)
		case "/done":
			body, _ := io.ReadAll(r.Body)
			done <- string(body)
		}
	})
	url := startProxy(t, o)
	for i := range 2 {
		browser := &program{exe: exe, dir: t.TempDir()} // with a cache of its own
		cmd, cancel := browser.command(t, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
			"--remote-debugging-port=0", "--user-data-dir="+browser.dir, url+"/")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case got := <-done:
			equal(t, "the page", got, "hello 0 1 2 knock who")
		case <-time.After(programTimeout):
			t.Errorf("the page has not reported; the origin got %q", o.requests())
		}
		cancel()
		cmd.Wait()
		for _, r := range o.requests() {
			switch r {
			case "GET / 200", "GET /script.js 200", "GET /text 200":
				if i > 0 {
					t.Errorf("the second browser: the origin got %s, want a hit", r)
				}
			}
		}
	}
}
