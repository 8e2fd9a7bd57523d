package rules

import (
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// RFC 9110, section 7.8.
func TestUpgrade(t *testing.T) {
	for _, tt := range []struct {
		header, without http.Header
		asks            bool
	}{
		{fields("A", "1"), fields("A", "1"), false},
		{fields("Upgrade", "h2c", "A", "1"), fields("A", "1"), false},
		{fields("Upgrade", "H2C, h2c", "Http2-Settings", "x"), fields(), false},
		{fields("Upgrade", "websocket"), fields(), true},
		{fields("Upgrade", "websocket, h2c"), fields(), true},
		{fields("Upgrade", "h2c", "Upgrade", "TLS/1.0"), fields(), true},
		{fields("Upgrade", "h2c", "Connection", "Upgrade, HTTP2-Settings"), fields(), false},
		{fields("Upgrade", "h2c", "Connection", "close, upgrade,X", "Connection", "Y"), fields("Connection", "close, X", "Connection", "Y"), false},
		{fields("Connection", "close"), fields("Connection", "close"), false},
	} {
		if got := AsksUpgrade(tt.header); got != tt.asks {
			t.Errorf("AsksUpgrade(%q) = %t, want %t", tt.header, got, tt.asks)
		}
		if diff := cmp.Diff(tt.without, WithoutUpgrade(tt.header)); diff != "" {
			t.Errorf("WithoutUpgrade(%q) (-want +got):\n%s", tt.header, diff)
		}
	}
}
