package cachecontrol_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/go-cachecontrol/cachecontrol"
)

// Some clients offer with each request to continue with HTTP/2. Such an offer may be ignored, and must not keep the cache from
// answering. A request for another protocol, as WebSocket, is for the origin alone.
func TestUpgradeOffers(t *testing.T) {
	for _, test := range []struct {
		upgrade, connection string
		want                cachecontrol.Outcome
		sent                string // Connection, as the origin gets it
	}{
		{"h2c", "Upgrade, HTTP2-Settings", cachecontrol.Hit, ""},
		{"H2C", "upgrade, http2-settings", cachecontrol.Hit, ""},
		{"h2c, h2c", "Upgrade, HTTP2-Settings, X-Hop", cachecontrol.Hit, "X-Hop"},
		{"", "Upgrade", cachecontrol.Hit, ""},
		{"websocket", "Upgrade", cachecontrol.Bypass, "Upgrade"},
		{"websocket, h2c", "Upgrade, HTTP2-Settings", cachecontrol.Bypass, "Upgrade, HTTP2-Settings"},
		{"h2c, TLS/1.0", "Upgrade, HTTP2-Settings", cachecontrol.Bypass, "Upgrade, HTTP2-Settings"},
		{"HTTP/3.0", "Upgrade", cachecontrol.Bypass, "Upgrade"},
	} {
		t.Run(test.upgrade, func(t *testing.T) {
			o := replies(t, ok("Cache-Control: max-age=60"))
			tr := &cachecontrol.Transport{Base: o}
			defer tr.Close()
			ask := func() answer {
				req := request(t, "/", "Connection: "+test.connection, "HTTP2-Settings: AAMAAABkAAQAAP__")
				req.Header["Upgrade"] = []string{test.upgrade}
				before := req.Header.Clone()
				a := send(t, tr, req)
				if diff := cmp.Diff(before, req.Header); diff != "" {
					t.Errorf("the caller's request was changed (-want +got):\n%s", diff)
				}
				return a
			}
			ask()
			if a := ask(); a.outcome != test.want {
				t.Errorf("Upgrade: %s: outcome = %v, want %v", test.upgrade, a.outcome, test.want)
			}
			wantFields(t, "request", o.last().Header, []string{"Connection: " + test.sent})
			if got := o.last().Header["Upgrade"] != nil; got != (test.want == cachecontrol.Bypass) {
				t.Errorf("the origin gets Upgrade: %t, want %t", got, !got)
			}
		})
	}
}

// With Control.Bypass a request goes to the origin as it is.
func TestUpgradeOfferBypassed(t *testing.T) {
	o := replies(t, ok())
	tr := &cachecontrol.Transport{Base: o}
	defer tr.Close()
	req := request(t, "/", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
	req = req.WithContext(cachecontrol.WithControl(req.Context(), cachecontrol.Control{Bypass: true}))
	send(t, tr, req)
	if got := o.last().Header.Get("Upgrade"); got != "h2c" {
		t.Errorf("the origin gets Upgrade: %q, want %q", got, "h2c")
	}
}
