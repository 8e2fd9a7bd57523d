package cachetest

import (
	"strings"
	"testing"
)

// TestRedactHostile redacts bodies in which each byte could make the reader look at all of the others. If its work were
// quadratic, the test would take minutes.
func TestRedactHostile(t *testing.T) {
	if testing.Short() {
		t.Skip("the bodies are long")
	}
	const size = 1 << 18
	for name, unit := range map[string]string{
		"objects": `{"a":`, "arrays": "[", "brackets of secrets": "token:[", "braces of secrets": `"token":{`, "quotation marks": `"`, "backslashes": `\`,
		"escaped quotation marks": `\"`, "tags": "<a ", "elements": "<a>", "secret elements": "<token>", "comments": "<!-- <a> ", "data": "<![CDATA[ <a> ",
		"entities": "&quot;", "names": "token:", "names and values": "token=", "quoted values": `token="`, "percent signs": "%25", "nested percent signs": "%2525252525",
		"lines": "token:\n", "indented lines": " token: |\n", "parameters": "&token", "base64": "YWJjZGVmZ2hpamts", "dots": "eyJhbGciOi.", "slashes": "/token/",
		"keys": "-----BEGIN PRIVATE KEY-----", "users": "://a:", "boundaries": "--x\r\n", "hexadecimal": "\\u0026",
	} {
		t.Run(name, func(t *testing.T) {
			body := []byte(strings.Repeat(unit, size/len(unit)))
			contentType := "text/plain"
			if name == "boundaries" {
				contentType = "multipart/mixed; boundary=x"
			}
			if got := newOptions(nil).redactor.start(nil).body(body, contentType, ""); len(got) > 8*len(body) {
				t.Errorf("%d bytes redacted = %d bytes, want at most %d", len(body), len(got), 8*len(body))
			}
		})
	}
}
