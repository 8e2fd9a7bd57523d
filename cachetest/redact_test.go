package cachetest_test

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf16"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

// A secretExchange holds a secret somewhere.
type secretExchange struct {
	name   string
	url    string   // "": https://a.example/
	fields []string // of the request
	body   string   // of the request
	answer []string // fields of the response
	text   string   // body of the response
}

// planted is the secret that the tables below hold.
const planted = "Zx81-s3cr3t/Value+9"

// forms returns a secret in the ways in which a file may hold it.
func forms(secret string) []string {
	quoted, _ := json.Marshal(secret)
	plain := string(quoted[1 : len(quoted)-1])
	all := []string{
		secret, strings.ToLower(secret), url.QueryEscape(secret), url.QueryEscape(url.QueryEscape(secret)), url.PathEscape(secret),
		plain, strings.ReplaceAll(secret, "/", `\/`), html.EscapeString(secret), hex.EncodeToString([]byte(secret)),
	}
	for _, coding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		for before := range 3 {
			coded := coding.EncodeToString(append(make([]byte, before), secret...))
			all = append(all, coded[4:len(coded)-3])
		}
	}
	return all
}

// recorded makes requests while recording, replays them with the same secret and without the network, and returns all that is
// in the directory, with names.
func recorded(t *testing.T, exchanges []secretExchange, opts ...cachetest.Option) string {
	t.Helper()
	dir := recordings(t)
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		if req.Body != nil {
			io.Copy(io.Discard, req.Body)
			req.Body.Close()
		}
		var x secretExchange
		for i := range exchanges {
			if req.Header.Get("X-Test-Number") == fmt.Sprint(i) {
				x = exchanges[i]
			}
		}
		return respond(req, 200, x.text, x.answer...), nil
	})
	run := func(client *http.Client) {
		for i, x := range exchanges {
			method, address := http.MethodGet, x.url
			if address == "" {
				address = "https://a.example/"
			}
			if x.body != "" {
				method = http.MethodPost
			}
			send(client, method, address, x.body, append([]string{fmt.Sprintf("X-Test-Number: %d", i)}, x.fields...)...)
		}
	}
	record := func() map[string]string {
		passes(t, "TestX", func(tb testing.TB) {
			run(cachetest.Client(tb, dir, append(opts, cachetest.Base(origin), cachetest.Record())...))
		})
		return files(t, dir)
	}
	first := record()
	passes(t, "TestX", func(tb testing.TB) { // the program has the same secret
		run(cachetest.Client(tb, dir, append(opts, cachetest.Base(down))...))
	})
	if second := record(); fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("recorded again:\n%v\nwant\n%v", second, first)
	}
	var all strings.Builder
	for name, text := range first {
		fmt.Fprintf(&all, "--- %s\n%s", name, text)
	}
	return all.String()
}

// holdsNone fails the test if a recording holds a secret in any form.
func holdsNone(t *testing.T, text, secret string) {
	t.Helper()
	for _, form := range forms(secret) {
		if strings.Contains(text, form) {
			t.Errorf("the recordings hold %q, want it redacted:\n%s", form, text)
			return
		}
	}
}

// TestRedactNames checks the names that are redacted without an option, each in the place in which it is used: a
// user who sets no option must leak nothing. It also checks other spellings of names.
func TestRedactNames(t *testing.T) {
	for place, names := range map[string]string{
		"query": "sig Signature token key code auth secret private_token AWSAccessKeyId jwt X-Amz-Signature X-Amz-Security-Token X-Amz-Credential " +
			"X-Goog-Signature X-Goog-Credential Key-Pair-Id Policy access_token accessToken apikey API-KEY client_secret oauth_signature ticket sid",
		"form": "code code_verifier assertion client_assertion subject_token actor_token refresh_token id_token passphrase new_password csrf_token " +
			"password password2 passwordConfirmation _csrf authenticity_token device_code SAMLResponse user[password] pass otp key",
		"json": "token secret SecretAccessKey SessionToken private_key privateKey access_token ClientSecret db.password api-key aws_secret_access_key " +
			"AZURE_CLIENT_SECRET new-password passphrase bearer secret_id code_verifier webhookSecret botToken AccountKey",
		"field": "X-Vault-Token X-Csrf-Token X-Xsrf-Token X-Subject-Token X-Auth-Token Api-Key X-Api-Key Authorization Proxy-Authorization Cookie " +
			"Private-Token X-Amz-Security-Token X-Access-Token Ocp-Apim-Subscription-Key X-Functions-Key X-Auth-Key X-Session-Id X-App-Secret Replay-Nonce",
	} {
		for name := range strings.FieldsSeq(names) {
			t.Run(place+" "+name, func(t *testing.T) {
				var x secretExchange
				switch place {
				case "query":
					x.url = "https://a.example/?a=1&" + name + "=" + url.QueryEscape(planted) + "&b=2"
					x.answer = []string{"Location: https://b.example/cb?" + name + "=" + url.QueryEscape(planted)}
					x.text = "see https://b.example/?x=1&" + name + "=" + url.QueryEscape(planted) + " for more"
				case "form":
					x.fields = []string{"Content-Type: application/x-www-form-urlencoded"}
					x.body = "a=1&" + url.QueryEscape(name) + "=" + url.QueryEscape(planted) + "&b=2"
				case "json":
					b, _ := json.Marshal(map[string]any{"a": 1, name: planted, "z": []any{map[string]any{name: []any{planted}}}})
					x.body, x.text = string(b), string(b)
				case "field":
					x.fields = []string{name + ": " + planted}
					x.answer = []string{name + ": " + planted}
				}
				holdsNone(t, recorded(t, []secretExchange{x}, cachetest.MatchHeader(name)), planted)
			})
		}
	}
}

// TestRedactKeeps is about what must not be redacted: requests that ask for different things are told apart by it, and
// programs read it.
func TestRedactKeeps(t *testing.T) {
	for _, x := range []secretExchange{
		{name: "places in a list", url: "https://a.example/?page_token=KEEP-1a2b3c4d&pageToken=KEEP2&continuation-token=KEEP3", text: `{"nextPageToken":"KEEP4","next_token":"KEEP5"}`},
		{name: "counts", body: `{"max_tokens":4096,"token_type":"KEEP1","grant_type":"KEEP2","tokens":["KEEP3"]}`, text: `{"usage":{"total_tokens":4097,"prompt_tokens":4098}}`},
		{name: "codes of errors", text: `{"code":"KEEP1","error":{"code":40962,"key":"KEEP2","status":"KEEP3"}}`},
		{name: "booleans", text: `{"password":true,"has_secret":false,"KEEP1":1}`},
		{name: "kinds of grants", fields: []string{"Content-Type: application/x-www-form-urlencoded"}, body: "grant_type=KEEP1&scope=KEEP2&client_id=KEEP3"},
		{name: "variables", body: `{"query":"mutation KEEP1($password: String!, $token: ID) { login(password: $password, token: $token) { KEEP2 } }"}`},
		{name: "identifiers", url: "https://a.example/tokens/KEEP1/6f1c4a0e-7c1d-4b6e-9a53-0242ac120002", text: `{"id":"KEEP2","node_id":"MDEwOlJlcG9zaXRvcnkxMzAwMTky","sha":"da39a3ee5e6b4b0d3255bfef95601890afd80709"}`},
		{name: "sentences", text: `{"message":"Invalid token: KEEP1 is needed","hint":"password: must be set, KEEP2"}`},
		{name: "challenges", answer: []string{`Www-Authenticate: Bearer realm="KEEP1", error="KEEP2", scope="KEEP3"`}},
		{name: "markup", text: `<a class="KEEP1" href="/KEEP2?a=1&b=2">KEEP3 & more</a> 1 < 2 <token/>`},
	} {
		t.Run(x.name, func(t *testing.T) {
			text := recorded(t, []secretExchange{x})
			for i := range 6 {
				want := fmt.Sprintf("KEEP%d", i)
				if strings.Contains(x.url+x.body+x.text+strings.Join(x.answer, ""), want) && !strings.Contains(text, want) {
					t.Errorf("the recordings do not hold %s, want it kept:\n%s", want, text)
				}
			}
			if strings.Contains(text, "REDACTED") {
				t.Errorf("something is redacted, want nothing:\n%s", text)
			}
		})
	}
}

// TestRedactSyntaxes is about the syntaxes that a secret under a listed name can be written in, and about those within
// others: what is read is the decoded text, at every depth.
func TestRedactSyntaxes(t *testing.T) {
	quote := func(s string) string {
		b, _ := json.Marshal(s)
		return string(b)
	}
	nested := `{"password":` + quote(planted) + `}`
	for range 4 {
		nested = `{"payload":` + quote(nested) + `,"n":1}`
	}
	escaped := url.QueryEscape(planted)
	link := "https://s3.example/x?X-Amz-Date=1&X-Amz-Signature=" + escaped
	compress := func(level string, s string) string {
		var b bytes.Buffer
		var w io.WriteCloser
		switch level {
		case "gzip":
			w = gzip.NewWriter(&b)
		case "zlib":
			w = zlib.NewWriter(&b)
		default:
			w, _ = flate.NewWriter(&b, 9)
		}
		io.WriteString(w, s)
		w.Close()
		return b.String()
	}
	asJSON, asForm := `{"access_token":`+quote(planted)+`}`, "a=1&access_token="+escaped
	form := []string{"Content-Type: application/x-www-form-urlencoded"}
	multi := []string{"Content-Type: multipart/form-data; boundary=xyz"}
	exchanges := []secretExchange{
		// JSON.
		{name: "URL in JSON, & escaped", text: `{"url":"` + strings.ReplaceAll(link, "&", `\u0026`) + `"}`},
		{name: "URL in JSON, all escaped", text: `{"url":"` + strings.NewReplacer("&", `\u0026`, "/", `\/`, "=", `\u003d`, "?", `\u003F`).Replace(link) + `"}`},
		{name: "name in JSON, escaped", text: `{"access\u005ftoken":` + quote(planted) + `}`},
		{name: "surrogates", text: `{"url":"\ud83e\udd44?a=1\u0026token=` + escaped + `"}`},
		{name: "JSON in JSON", text: `{"payload":` + quote(asJSON) + `}`},
		{name: "JSON in JSON, four times", text: nested},
		{name: "JSON in JSON with slashes escaped", text: `{"payload":` + strings.ReplaceAll(quote(asJSON), "/", `\/`) + `}`},
		{name: "JSON as a string", text: quote(asJSON)},
		{name: "form in JSON", text: `{"body":` + quote(asForm) + `}`},
		{name: "lines of JSON", text: `{"a":1}` + "\n" + asJSON + "\n"},
		{name: "stream of events", answer: []string{"Content-Type: text/event-stream"}, text: "event: x\ndata: {\"name\":\"api_key\",\"value\":" + quote(planted) + "}\n\n"},
		{name: "JSONP", text: "/**/callback({\"a\":\n" + asJSON + "});"},
		{name: "JSON cut off", text: `{"a":[{"access_token":` + quote(planted) + `},{"b`},
		{name: "object under a secret name", text: `{"secret":{"data":{"x":` + quote(planted) + `}}}`},
		{name: "name and value", text: `{"headers":[{"name":"X-Api-Key","value":` + quote(planted) + `}]}`},
		{name: "value and key", text: `[{"value":` + quote(planted) + `,"key":"db_password"}]`},
		{name: "Name and Value", text: `{"Parameters":[{"Type":"x","Name":"/app/client_secret","Value":` + quote(planted) + `}]}`},
		{name: "path and value", body: `[{"op":"replace","path":"/user/password","value":` + quote(planted) + `}]`},
		{name: "type and value", text: `{"fields":[{"type":"password","value":` + quote(planted) + `}]}`},
		{name: "label and value", text: `{"fields":[{"label":"API key","value":` + quote(planted) + `}]}`},
		{name: "list of secrets", text: `{"tokens":[` + quote(planted) + `]}`},
		{name: "map of secrets", text: `{"secrets":{"x":` + quote(planted) + `}}`},
		{name: "JSON Web Key", text: `{"keys":[{"kty":"oct","k":` + quote(planted) + `}]}`},
		{name: "Kubernetes", text: `{"kind":"Secret","metadata":{"name":"x"},"data":{"db":"` + base64.StdEncoding.EncodeToString([]byte(planted)) + `"},"stringData":{"a":` + quote(planted) + `}}`},
		{name: "pairs in arrays", text: `[["Authorization",` + quote("Bearer "+planted) + `]]`},
		{name: "code for a token", body: `{"client_id":"x","code":` + quote(planted) + `}`},
		{name: "name of a member", text: `{"sessions":{` + quote(planted) + `:{"token":` + quote(planted) + `}}}`},
		// Forms and URLs.
		{name: "JSON in a form", fields: form, body: "payload=" + url.QueryEscape(asJSON) + "&a=1"},
		{name: "form in a form, twice", fields: form, body: "a=" + url.QueryEscape("b="+url.QueryEscape(asForm))},
		{name: "JSON sent as a form", fields: form, body: asJSON},
		{name: "URL in a query", url: "https://a.example/?next=" + url.QueryEscape(link)},
		{name: "URL in a query, twice", url: "https://a.example/?next=" + url.QueryEscape("https://b.example/?then="+url.QueryEscape(link))},
		{name: "JSON in a query", url: "https://a.example/?filter=" + url.QueryEscape(asJSON)},
		{name: "URL in a path", url: "https://a.example/fetch/" + url.QueryEscape(link)},
		{name: "parameter of a path", url: "https://a.example/x;jsessionid=" + url.PathEscape(planted) + "?a=1"},
		{name: "escaped name", url: "https://a.example/?access%5Ftoken=" + escaped},
		{name: "user", url: "https://me:" + url.QueryEscape(planted) + "@a.example/"},
		{name: "user in a query", url: "https://a.example/?u=" + url.QueryEscape("https://me:"+url.QueryEscape(planted)+"@b.example/")},
		{name: "user in a text", text: "clone https://me:" + url.QueryEscape(planted) + "@b.example/x"},
		{name: "fragment in a text", answer: []string{"Location: https://a.example/cb#state=1&access_token=" + escaped}},
		{name: "multipart", fields: multi, body: "--xyz\r\nContent-Disposition: form-data; name=\"new_password\"\r\n\r\n" + planted + "\r\n--xyz--\r\n"},
		{name: "JSON in multipart", fields: multi, body: "--xyz\r\nContent-Disposition: form-data; name=meta\r\nContent-Type: application/json\r\n\r\n" + asJSON + "\r\n--xyz--\r\n"},
		{name: "form in multipart", fields: multi, body: "--xyz\r\nContent-Disposition: form-data; name=meta\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\ncode=" + escaped + "\r\n--xyz--\r\n"},
		{name: "base64 in multipart", fields: multi, body: "--xyz\r\nContent-Disposition: form-data; name=meta\r\nContent-Transfer-Encoding: base64\r\n\r\n" + base64.StdEncoding.EncodeToString([]byte(asJSON)) + "\r\n--xyz--\r\n"},
		{name: "requests in multipart", answer: []string{"Content-Type: multipart/mixed; boundary=xyz"}, text: "--xyz\r\nContent-Type: application/http\r\n\r\nGET /a?code=" + escaped + " HTTP/1.1\r\nX-Vault-Token: " + planted + "\r\n\r\n\r\n--xyz--"},
		// Codings.
		{name: "gzip", answer: []string{"Content-Encoding: gzip"}, text: compress("gzip", asJSON)},
		{name: "gzip of which nobody says so", text: compress("gzip", asJSON)},
		{name: "gzip cut off", answer: []string{"Content-Encoding: gzip"}, text: compress("gzip", asJSON+strings.Repeat(" x", 1000))[:len(compress("gzip", asJSON+strings.Repeat(" x", 1000)))-9]},
		{name: "deflate", answer: []string{"Content-Encoding: deflate"}, text: compress("zlib", asJSON)},
		{name: "raw deflate", answer: []string{"Content-Encoding: deflate"}, text: compress("raw", asJSON)},
		{name: "deflate, then gzip", answer: []string{"Content-Encoding: deflate, gzip"}, text: compress("gzip", compress("zlib", asJSON))},
		{name: "UTF-16", text: utf16Text(asJSON)},
		{name: "base64, twice", text: base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(asJSON))))},
		{name: "deflate, sent", fields: []string{"Content-Encoding: deflate"}, body: compress("zlib", asJSON)},
		{name: "base64", text: `{"content":"` + base64.StdEncoding.EncodeToString([]byte("key: 1\n"+asJSON)) + `"}`},
		{name: "base64url", url: "https://a.example/?state=" + base64.RawURLEncoding.EncodeToString([]byte(asJSON))},
		{name: "base64 in lines", text: `{"content":"` + wrapped(base64.StdEncoding.EncodeToString([]byte("# a file\npassword = \""+planted+"\"\n# and more of it to fill the lines\n"))) + `"}`},
		{name: "gzip in base64", text: `{"content":"` + base64.StdEncoding.EncodeToString([]byte(compress("gzip", asJSON))) + `"}`},
		// Markup.
		{name: "element", text: `<?xml version="1.0"?><a><wsse:Password Type="x">` + planted + `</wsse:Password></a>`},
		{name: "CDATA", text: `<a><access_token><![CDATA[` + planted + `]]></access_token></a>`},
		{name: "elements in a secret one", text: `<a><Secret><v x="1">` + planted + `</v></Secret></a>`},
		{name: "attribute", text: `<a><add x="1" apiKey='` + planted + `'/></a>`},
		{name: "name and value in attributes", text: `<add key="ClientSecret" value="` + planted + `"/>`},
		{name: "name and content", text: `<map><string name="refresh_token">` + planted + `</string></map>`},
		{name: "comment", text: "<a><!-- <b>x</b> password=" + planted + " --></a>"},
		{name: "comment without an end", text: "<a>x</a><!-- <b apiKey='" + planted + "'>x</b>"},
		{name: "password field", text: `<input type="password" id="x" value="` + planted + `">`},
		{name: "property list", text: "<dict>\n<key>authToken</key>\n<string>" + planted + "</string></dict>"},
		{name: "JSON in an element", text: `<a><b>` + html.EscapeString(asJSON) + `</b></a>`},
		{name: "URL in an attribute", text: `<a href="` + html.EscapeString(link) + `">x</a>`},
		{name: "input, name first", text: `<form><input type="hidden" name="csrf_token" value="` + planted + `"></form>`},
		{name: "input, value first", text: `<form><input value='` + planted + `' type=hidden name=authenticity_token></form>`},
		{name: "meta", text: `<head><meta content="` + planted + `" name="csrf-token"/></head>`},
		{name: "textarea", text: `<textarea name="private_key">` + planted + `</textarea>`},
		{name: "data attribute", text: `<div data-access-token="` + planted + `"></div>`},
		{name: "script", text: `<html><script>window.cfg = {apiKey: '` + planted + `', url: "` + strings.ReplaceAll(link, "&", `\u0026`) + `"}; if (1 < 2) {}</script></html>`},
		{name: "JSON in a script", text: `<script type="application/json">` + asJSON + `</script>`},
		{name: "JSON in an attribute", text: `<div data-x="` + html.EscapeString(asJSON) + `"></div>`},
		// Other languages.
		{name: "argument of GraphQL", body: `{"query":"mutation { login(user: \"me\", password: \"` + planted + `\") { id } }"}`},
		{name: "argument of GraphQL, in an object", body: `{"query":"mutation { login(input: {user: \"me\", clientSecret: \"\"\"` + planted + `\"\"\"}) { id } }"}`},
		{name: "query of GraphQL", body: "{\n  me(token: \"" + planted + "\") { id }\n}", fields: []string{"Content-Type: application/graphql"}},
		{name: "YAML", text: "a: 1\ndb:\n  password: " + planted + "\n  x: y\n"},
		{name: "YAML, quoted", text: "a:\n- token: '" + planted + "'\n  x: y\n"},
		{name: "YAML, a block", text: "a:\n  private_key: |\n    begin\n    " + planted + "\n  x: y\n"},
		{name: "YAML, a list", text: "api_key:\n  - " + planted + "\nx: y\n"},
		{name: "YAML, in one line", text: "a: {token: " + planted + ", x: y}\n"},
		{name: "YAML in JSON", text: `{"config":` + quote("a: 1\npassword: "+planted+"\n") + `}`},
		{name: "TOML", text: "[db]\npassword = \"" + planted + "\"\n"},
		{name: "settings", text: "DB_HOST=x\nexport DB_PASSWORD=" + planted + "\n"},
		{name: "connection string", text: `{"c":"Endpoint=x;SharedAccessKeyName=y;SharedAccessKey=` + planted + `;Z=1"}`},
		{name: "program", text: "params = {'client_secret': '" + planted + "', :token => \"x\"}"},
		{name: "log of a request", text: "> GET /cb?code=" + escaped + " HTTP/1.1\n> X-Vault-Token: " + planted + "\n"},
		{name: "options of commands", text: "curl -u me:" + planted + " https://a.example\ngh auth --with-token " + planted + "\n"},
		{name: "netrc", text: "machine a.example login me password " + planted + "\n"},
		{name: "data source", text: "dsn is me:" + strings.ReplaceAll(planted, "/", "") + "@tcp(db:3306)/x"},
		{name: "command", text: `{"message":"curl -H 'Authorization: Bearer ` + planted + `' https://a.example"}`},
		{name: "bearer in a text", text: `{"message":"sent Bearer ` + planted + ` to x"}`},
		{name: "escaped JSON in a log", text: `level=info msg="got {\"access_token\":\"` + planted + `\"}"`},
		// Fields.
		{name: "Set-Cookie", answer: []string{"Set-Cookie: sid=" + planted + "; Path=/; HttpOnly"}},
		{name: "Link", answer: []string{"Link: <https://a.example/?page=2&private_token=" + escaped + `>; rel="next"`}},
		{name: "Refresh", answer: []string{"Refresh: 0; url=https://a.example/cb?code=" + escaped}},
		{name: "challenge", answer: []string{`Www-Authenticate: Digest realm="x", qop="auth", nonce="` + planted + `", opaque="` + planted + `"`}},
		{name: "Authentication-Info", answer: []string{`Authentication-Info: nextnonce="` + planted + `", qop=auth, rspauth=` + hex.EncodeToString([]byte(planted))}},
		{name: "challenge with a token", answer: []string{"Www-Authenticate: Negotiate " + base64.StdEncoding.EncodeToString([]byte(planted))}},
		{name: "Basic", fields: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+planted))}, text: `{"password_is":"` + planted + `"}`},
		{name: "JSON in a field", answer: []string{"X-Config: " + asJSON}},
	}
	for _, x := range exchanges {
		t.Run(x.name, func(t *testing.T) {
			text := recorded(t, []secretExchange{x}, cachetest.MatchHeader("Authorization"))
			holdsNone(t, text, planted)
			holdsNone(t, opened(text), planted)
		})
	}
}

func utf16Text(s string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune("\ufeff" + s)) {
		b = append(b, byte(unit), byte(unit>>8))
	}
	return string(b)
}

// wrapped breaks base64 into lines, as they are within JSON.
func wrapped(s string) string {
	var b strings.Builder
	for ; len(s) > 60; s = s[60:] {
		b.WriteString(s[:60] + `\n`)
	}
	return b.String() + s + `\n`
}

// opened returns what the base64 in recordings stands for, decompressed.
func opened(text string) string {
	var all strings.Builder
	sections := strings.Split(text, "=== ")
	for _, section := range sections {
		kind, data, _ := strings.Cut(section, "\n")
		var b []byte
		switch {
		case strings.HasPrefix(kind, "body base64"):
			b, _ = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(data), ""))
			b = append(b, bytes.ReplaceAll(b, []byte{0}, nil)...) // UTF-16
		case strings.HasPrefix(kind, "body"):
			for _, word := range strings.FieldsFunc(data, func(c rune) bool {
				return !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=", c)
			}) {
				if plain, err := base64.StdEncoding.DecodeString(word); err == nil {
					b = append(b, plain...)
				}
			}
		}
		for range 2 {
			all.Write(b)
			if r, err := gzip.NewReader(bytes.NewReader(b)); err == nil {
				b, _ = io.ReadAll(r)
			} else if r, err := zlib.NewReader(bytes.NewReader(b)); err == nil {
				b, _ = io.ReadAll(r)
			} else if plain, _ := io.ReadAll(flate.NewReader(bytes.NewReader(b))); len(plain) > 0 {
				b = plain
			}
		}
		all.Write(b)
	}
	return all.String()
}

// TestRedactTrailersAndErrors is about the parts of an exchange that are neither header nor body: trailers, the reason after
// a status, and errors, in recordings and in the messages of a test that fails.
func TestRedactTrailersAndErrors(t *testing.T) {
	dir := recordings(t)
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		switch req.URL.Path {
		case "/error":
			return nil, fmt.Errorf("proxy https://me:%s@proxy.example failed: %s", url.QueryEscape(planted), planted)
		case "/middle":
			resp := respond(req, 200, "")
			resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("a"), iotest.ErrReader(fmt.Errorf("no more: token=%q", planted))))
			return resp, nil
		}
		resp := respond(req, 200, "ok")
		resp.Status = "200 token=" + planted
		resp.ContentLength = -1
		resp.Trailer = http.Header{"X-Echo": {planted}, "X-Auth-Token": {planted}}
		return resp, nil
	})
	ask := func(client *http.Client) {
		for _, path := range []string{"/", "/error", "/middle"} {
			get(client, "https://a.example"+path)
		}
	}
	message := fails(t, "TestX", func(tb testing.TB) {
		ask(cachetest.Client(tb, dir, cachetest.Base(origin), cachetest.Record()))
	})
	holdsNone(t, message, planted)
	passes(t, "TestX", func(tb testing.TB) {
		ask(cachetest.Client(tb, dir, cachetest.Base(origin), cachetest.Record(), cachetest.RecordErrors()))
	})
	all := fmt.Sprint(files(t, dir))
	holdsNone(t, all, planted)
	for _, want := range []string{"X-Echo: REDACTED", "X-Auth-Token: REDACTED", "200 token=REDACTED", "proxy https://REDACTED@proxy.example failed: REDACTED", `no more: token="REDACTED"`} {
		if !strings.Contains(all, want) {
			t.Errorf("no recording holds %q:\n%s", want, all)
		}
	}
	message = fails(t, "TestX", func(tb testing.TB) { // one request shows that a part of another is a secret
		client := cachetest.Client(tb, dir, cachetest.Base(down))
		get(client, "https://a.example/", "Authorization: Bearer "+planted)
		get(client, "https://a.example/x/"+url.PathEscape(planted))
	})
	holdsNone(t, message, planted)
	message = fails(t, "TestX", func(tb testing.TB) {
		send(cachetest.Client(tb, dir, cachetest.Base(down)), "POST", "https://a.example/other?token="+url.QueryEscape(planted), `{"password":"`+planted+`","x":"`+planted+`"}`)
	})
	holdsNone(t, message, planted)
}
