package cachetest_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/cachetest"
)

// TestRedactForms is about secrets that have no name, but a form that says what they are.
func TestRedactForms(t *testing.T) {
	const tail = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
	part := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	jwt := part(`{"alg":"HS256","typ":"JWT"}`) + "." + part(`{"sub":"1234567890"}`) + "." + part("\x01\x02\xff signature bytes")
	for name, secret := range map[string]string{
		"JWT":                 jwt,
		"JWT without a key":   part(`{"alg":"none"}`) + "." + part(`{"sub":"1234567890"}`) + ".",
		"JWE":                 part(`{"alg":"dir","enc":"A256GCM"}`) + ".." + tail + "." + tail + "." + tail,
		"PEM":                 "-----BEGIN RSA PRIVATE KEY-----\nMIIEow" + tail + "\n" + tail + "==\n-----END RSA PRIVATE KEY-----",
		"PEM of OpenSSH":      "-----BEGIN OPENSSH PRIVATE KEY-----\nb3Blbn" + tail + "\n-----END OPENSSH PRIVATE KEY-----",
		"GitHub":              "ghp_" + tail,
		"GitHub, OAuth":       "gho_" + tail,
		"GitHub, user":        "ghu_" + tail,
		"GitHub, server":      "ghs_" + tail,
		"GitHub, refresh":     "ghr_" + tail,
		"GitHub, fine":        "github_pat_11ABCDEFG0" + tail + "_" + tail,
		"GitLab":              "glpat-" + tail[:20],
		"GitLab, runner":      "glrt-" + tail[:20],
		"Slack, bot":          "xoxb-123456789012-123456789012-" + tail[:24],
		"Slack, user":         "xoxp-123456789012-123456789012-" + tail[:24],
		"Slack, app":          "xapp-1-A0123456789-123456789012-" + tail,
		"OpenAI":              "sk-" + tail,
		"OpenAI, project":     "sk-proj-" + tail,
		"Anthropic":           "sk-ant-api03-" + tail,
		"Stripe":              "sk_live_" + tail[:24],
		"Stripe, restricted":  "rk_live_" + tail[:24],
		"Stripe, webhooks":    "whsec_" + tail,
		"Amazon":              "AKIAIOSFODNN7EXAMPLE",
		"Amazon, temporary":   "ASIAIOSFODNN7EXAMPLE",
		"Google":              "AIza" + tail[:35],
		"Google, OAuth":       "ya29." + tail,
		"Google, client":      "GOCSPX-" + tail[:28],
		"npm":                 "npm_" + tail,
		"PyPI":                "pypi-AgEIcHlwaS5vcmc" + tail,
		"SendGrid":            "SG." + tail[:22] + "." + tail,
		"Vault":               "hvs." + tail,
		"DigitalOcean":        "dop_v1_" + strings.Repeat("0123456789abcdef", 4),
		"Shopify":             "shpat_" + strings.Repeat("0123456789abcdef", 2),
		"Facebook":            "EAACEdEose0cBA" + tail,
		"Hugging Face":        "hf_" + tail[:34],
		"Databricks":          "dapi" + strings.Repeat("0123456789abcdef", 2),
		"Telegram":            "123456789:AAF" + tail[:32],
		"Atlassian":           "ATATT3xFfGF0" + tail,
		"bearer in a text":    tail,
		"under a common name": tail,
	} {
		t.Run(name, func(t *testing.T) {
			shown := secret
			switch name {
			case "bearer in a text":
				shown = "Bearer " + secret
			case "under a common name":
				shown = `{"key":"` + secret + `"}`
			}
			b, _ := json.Marshal(map[string]string{"x": "a " + shown + " b"})
			all := []secretExchange{
				{text: string(b)},
				{text: "a " + shown + "\n"},
				{text: "<a>" + html.EscapeString(shown) + "</a>"},
				{url: "https://a.example/?x=" + url.QueryEscape(shown)},
				{url: "https://a.example/x/" + url.PathEscape(shown) + "/y"},
				{url: "https://a.example/?" + url.QueryEscape(shown)},
				{answer: []string{"X-Thing: " + strings.ReplaceAll(shown, "\n", " ")}},
				{fields: []string{"Content-Type: application/x-www-form-urlencoded"}, body: "x=" + url.QueryEscape(shown)},
			}
			for _, x := range all {
				text := recorded(t, []secretExchange{x})
				holdsNone(t, text, secret)
			}
		})
	}
}

// TestRedactPaths is about URLs that are secrets themselves, in their paths.
func TestRedactPaths(t *testing.T) {
	const token = "a1B2c3D4e5F6g7H8i9J0k1L2"
	for _, path := range []string{
		"api.telegram.org/bot123456:" + token + "/sendMessage",
		"api.telegram.org/bot123456%3A" + token + "/sendMessage",
		"api.telegram.org/file/bot123456:" + token + "/photos/a.jpg",
		"hooks.slack.com/services/T00000000/B00000000/" + token,
		"hooks.slack.com/workflows/T00000000/A00000000/123456/" + token,
		"slack.internal/services/T00000000/B00000000/" + token,
		"discord.com/api/webhooks/123456789012345678/" + token,
		"discord.com/api/v10/webhooks/123456789012345678/" + token + "/messages/@original",
		"discord.com/api/v10/interactions/123456789012345678/" + token + "/callback",
		"x.webhook.office.com/webhookb2/6f1c4a0e-7c1d-4b6e-9a53-0242ac120002@6f1c4a0e-7c1d-4b6e-9a53-0242ac120003/IncomingWebhook/" + token + "/6f1c4a0e-7c1d-4b6e-9a53-0242ac120004",
		"outlook.office.com/webhook/6f1c4a0e-7c1d-4b6e-9a53-0242ac120002@6f1c4a0e-7c1d-4b6e-9a53-0242ac120003/IncomingWebhook/" + token + "/6f1c4a0e",
		"mattermost.example/hooks/" + token,
		"hooks.zapier.com/hooks/catch/123456/" + token,
		"maker.ifttt.com/trigger/x/with/key/" + token,
		"a.example/app;jsessionid=" + token + "?x=1",
		"a.example/app;JSESSIONID=" + token + "/x",
		"a.example/reset/token/" + token,
		"a.example/access_token=" + token + "/x",
	} {
		t.Run(path, func(t *testing.T) {
			b, _ := json.Marshal(map[string]string{"url": "https://" + path})
			for _, x := range []secretExchange{
				{url: "https://" + path},
				{url: "https://a.example/?to=" + url.QueryEscape("https://"+path)},
				{text: string(b)},
				{answer: []string{"Location: https://" + path}},
				{text: "send it to https://" + path + "\n"},
			} {
				holdsNone(t, recorded(t, []secretExchange{x}), token)
			}
		})
	}
}

// TestRedactEverywhere is about a secret that is known in one place, and is written in another one where nothing says that
// it is one: before it or after it, in the same exchange or in another one, and in the names of files.
func TestRedactEverywhere(t *testing.T) {
	b, _ := json.Marshal(planted)
	quoted := string(b)
	known := []secretExchange{
		{name: "field that is not recorded", fields: []string{"Authorization: Bearer " + planted}},
		{name: "Basic", fields: []string{"Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+planted))}},
		{name: "cookie", fields: []string{"Cookie: a=b; sid=" + planted}},
		{name: "parameter", url: "https://a.example/?access_token=" + url.QueryEscape(planted)},
		{name: "answer", text: `{"token":` + quoted + `}`},
		{name: "cookie that is set", answer: []string{"Set-Cookie: sid=" + planted + "; Path=/"}},
		{name: "form", fields: []string{"Content-Type: application/x-www-form-urlencoded"}, body: "client_secret=" + url.QueryEscape(planted)},
		{name: "user", url: "https://me:" + url.QueryEscape(planted) + "@a.example/"},
	}
	hidden := []secretExchange{
		{url: "https://a.example/users/" + url.PathEscape(planted) + "/x"},
		{url: "https://a.example/?q=" + url.QueryEscape(planted)},
		{url: "https://a.example/?q=" + url.QueryEscape(url.QueryEscape(planted))},
		{url: "https://a.example/?q=" + strings.ToLower(url.QueryEscape("+/"))},
		{text: "it is " + planted + " as you see"},
		{text: `{"a":` + quoted + `,` + quoted + `:1,"b":["x ` + planted + `"]}`},
		{text: `{"a":"` + strings.ReplaceAll(planted, "/", `\/`) + `"}`},
		{text: "<a b='" + html.EscapeString(planted) + "'>" + html.EscapeString(planted) + "</a>"},
		{text: "in base64: " + base64.StdEncoding.EncodeToString([]byte("a"+planted+"bc"))},
		{text: "in base64: " + base64.RawURLEncoding.EncodeToString([]byte(planted))},
		{text: "in hexadecimal: " + hex.EncodeToString([]byte(planted))},
		{answer: []string{"X-Echo: " + planted, "Etag: \"" + planted + "\""}},
		{body: "sent: " + planted},
		{body: `{"query":"query Q { x(id: \"` + planted + `\") }","operationName":"Q"}`},
		{fields: []string{"Accept: application/x." + url.QueryEscape(planted)}},
	}
	for _, k := range known {
		t.Run(k.name, func(t *testing.T) {
			holdsNone(t, recorded(t, append([]secretExchange{k}, hidden...)), planted)
			holdsNone(t, recorded(t, append(hidden[:len(hidden):len(hidden)], k)), planted)
			for _, h := range hidden { // in one exchange
				x := h
				x.fields = append(x.fields[:len(x.fields):len(x.fields)], k.fields...)
				x.answer = append(x.answer[:len(x.answer):len(x.answer)], k.answer...)
				if x.text == "" {
					x.text = k.text
				}
				if x.body == "" {
					x.body = k.body
				}
				if x.url == "" {
					x.url = k.url
				}
				if x.text+x.body+x.url+fmt.Sprint(x.fields, x.answer) == h.text+h.body+h.url+fmt.Sprint(h.fields, h.answer) {
					continue // what makes it known has no room
				}
				if k.url != "" && h.url != "" || k.text != "" && h.text != "" || k.body != "" && h.body != "" {
					continue
				}
				holdsNone(t, recorded(t, []secretExchange{x}), planted)
			}
		})
	}
}

// TestRedactShort is about secrets that are too short to be looked for elsewhere: they are redacted where they stand, and
// words that are equal to them stay. So do words that are long enough, but no secrets.
func TestRedactShort(t *testing.T) {
	text := recorded(t, []secretExchange{
		{url: "https://a.example/cat?password=cat&key=homepage", text: `{"password":"cat","animal":"cat","homepage":true}`},
		{body: "grant_type=password&password=password", fields: []string{"Content-Type: application/x-www-form-urlencoded"}, text: `{"password":"password","b":"password"}`},
	})
	for _, want := range []string{"a.example/cat?password=REDACTED&key=REDACTED", `"animal": "cat"`, `"homepage": true`, "grant_type=password&password=REDACTED", `"b": "password"`} {
		if !strings.Contains(text, want) {
			t.Errorf("no recording holds %q:\n%s", want, text)
		}
	}
}

// TestRedactMatching is about requests whose secret only another exchange shows to be one: they are answered when the
// program has the secret, or another one, and others are not.
func TestRedactMatching(t *testing.T) {
	dir := recordings(t)
	ask := func(client *http.Client, secret string) string {
		return get(client, "https://a.example/sessions/"+secret+"/x") + get(client, "https://a.example/login", "Authorization: Bearer "+secret)
	}
	passes(t, "TestX", func(tb testing.TB) {
		ask(cachetest.Client(tb, dir, cachetest.Base(answer(200, "yes")), cachetest.Record()), "f00d-BABE-1234")
	})
	for _, secret := range []string{"f00d-BABE-1234", "other-Secret-99", "REDACTED"} {
		passes(t, "TestX", func(tb testing.TB) {
			if got := ask(cachetest.Client(tb, dir, cachetest.Base(down)), secret); got != "yesyes" {
				t.Errorf("with %s: replayed %q, want %q", secret, got, "yesyes")
			}
		})
	}
	for _, path := range []string{"/sessions/latest/x", "/sessions/f00d-BABE-1234/y", "/sessions/f00d-BABE-1234/z/x", "/sessions//x", "/sessions/f00d-BABE-1234"} {
		fails(t, "TestX", func(tb testing.TB) { get(cachetest.Client(tb, dir, cachetest.Base(down)), "https://a.example"+path) })
	}
}

// TestKeep is about names that are on the list, and mean something else to an API.
func TestKeep(t *testing.T) {
	dir := recordings(t)
	test := func(client *http.Client) string {
		return get(client, "https://a.example/?key=one") + get(client, "https://a.example/?key=two") + get(client, "https://a.example/?api_key=three")
	}
	origin := roundTripper(func(req *http.Request) (*http.Response, error) {
		return respond(req, 200, `{"key":"`+req.FormValue("key")+`","token":"kept","secret":"gone"}`), nil
	})
	got := twice(t, dir, origin, func(client *http.Client) string { return test(client)[:0] }, cachetest.Keep("Key", "token"))
	all := fmt.Sprint(got)
	for _, want := range []string{"?key=one", "?key=two", "?api_key=REDACTED", `"token": "kept"`, `"secret": "REDACTED"`} {
		if !strings.Contains(all, want) {
			t.Errorf("no recording holds %q: %s", want, all)
		}
	}
}
