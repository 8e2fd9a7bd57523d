package cachetest

import (
	"encoding/base64"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// secretValues are the forms of well-known secrets, which are redacted under any name. If an expression has a group, only the
// group is the secret.
var secretValues = []struct {
	need []string // each match has one of them in it
	re   *regexp.Regexp
}{
	// JSON Web Tokens, signed or encrypted.
	{[]string{"eyJ"}, regexp.MustCompile(`\beyJ[A-Za-z0-9_-]{6,}(?:\.[A-Za-z0-9_-]*){2,4}`)},
	// Private keys.
	{[]string{"PRIVATE KEY"}, regexp.MustCompile(`-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|$)`)},
	{[]string{"AGE-SECRET-KEY-"}, regexp.MustCompile(`AGE-SECRET-KEY-1[A-Z0-9]{20,}`)},
	// GitHub, GitLab, Slack.
	{[]string{"gh", "github_pat_"}, regexp.MustCompile(`\b(?:gh[opsur]_|github_pat_)[A-Za-z0-9_]{10,}`)},
	{[]string{"gl"}, regexp.MustCompile(`\bgl(?:[a-z]{2,6}-|s[ab]_|c_)[A-Za-z0-9_.=-]{16,}`)},
	{[]string{"xox", "xapp-"}, regexp.MustCompile(`\b(?:xox[a-z](?:\.xox[a-z])?|xapp)-[A-Za-z0-9-]{8,}`)},
	// Stripe, OpenAI, Anthropic and others that begin so.
	{[]string{"k_"}, regexp.MustCompile(`\b[rs]k_(?:live|test|prod)_[A-Za-z0-9]{8,}`)},
	{[]string{"whsec_"}, regexp.MustCompile(`\bwhsec_[A-Za-z0-9+/=]{8,}`)},
	{[]string{"sk-"}, regexp.MustCompile(`\bsk-(?:ant-|proj-|or-|svcacct-|admin-)*[A-Za-z0-9]*[A-Z0-9][A-Za-z0-9_-]{11,}`)},
	// Amazon, Google, Facebook.
	{[]string{"AKIA", "ASIA", "ABIA", "ACCA"}, regexp.MustCompile(`\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}`)},
	{[]string{"AIza"}, regexp.MustCompile(`\bAIza[A-Za-z0-9_-]{16,}`)},
	{[]string{"ya29.", "GOCSPX-", "1//0"}, regexp.MustCompile(`\b(?:ya29\.|GOCSPX-|1//0)[A-Za-z0-9_.-]{8,}`)},
	{[]string{"EAACEdEose"}, regexp.MustCompile(`\bEAACEdEose[A-Za-z0-9]{4,}`)},
	// Registries, hosts and services.
	{[]string{"_"}, regexp.MustCompile(`\b(?:npm_|hf_|gsk_|r8_|lin_api_|figd_|dckr_pat_|dckr_oat_|sntrys_|sntryu_|rubygems_|ntn_|secret_|pscale_tkn_|pscale_pw_|shp(?:at|ca|pa|ss)_|do[opr]_v1_|EZAK_)[A-Za-z0-9_]*[0-9A-Z][A-Za-z0-9_]{11,}`)},
	{[]string{"pypi-", "tskey-", "nvapi-", "pul-", "PMAK-", "sq0", "xai-", "pplx-"}, regexp.MustCompile(`\b(?:pypi-|tskey-|nvapi-|pul-|PMAK-|sq0[a-z]{3}-|xai-|pplx-)[A-Za-z0-9_-]{14,}`)},
	{[]string{"SG."}, regexp.MustCompile(`\bSG\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}`)},
	{[]string{"hv", "s."}, regexp.MustCompile(`\b(?:hv[bsr]\.[A-Za-z0-9_-]{8,}|s\.[A-Za-z0-9]{24}\b)`)},
	{[]string{"dapi"}, regexp.MustCompile(`\bdapi[a-f0-9]{32}`)},
	{[]string{"ATAT", "ATCTT3", "ATBB"}, regexp.MustCompile(`\b(?:ATATT3|ATCTT3|ATBB)[A-Za-z0-9_=.-]{16,}`)},
	// Commands and their settings.
	{[]string{"-u", "--user"}, regexp.MustCompile(`(?:^|\s)(?:-u|--user)[ =]*["']?[^\s:"']+:([^\s"']+)`)},
	{[]string{"--"}, regexp.MustCompile(`(?i)(?:^|\s)--[a-z-]*(?:token|password|passwd|secret|api-?key|passphrase)\s+["']?([^\s"'-][^\s"']*)`)},
	{[]string{"login"}, regexp.MustCompile(`\blogin\s+\S+\s+password\s+(\S+)`)},
	{[]string{"@"}, regexp.MustCompile(`\b[A-Za-z0-9_.-]+:([^\s:@/"']{3,})@[a-z0-9]+\(`)},
	// Bots and webhooks whose URL is the secret.
	{[]string{":AA"}, regexp.MustCompile(`\b[0-9]{6,12}:AA[A-Za-z0-9_-]{16,}`)},
	{[]string{"/bot"}, regexp.MustCompile(`/bot([0-9]+(?::|%3[Aa])[A-Za-z0-9_-]{3,})`)},
	{[]string{"hooks.slack"}, regexp.MustCompile(`hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/([^\s"'<>?#\\]+)`)},
	{[]string{"/services/"}, regexp.MustCompile(`/services/(T[A-Za-z0-9]{3,}/B[A-Za-z0-9]{3,}/[A-Za-z0-9]{6,})`)},
	{[]string{"ebhooks/"}, regexp.MustCompile(`/[Ww]ebhooks/[0-9]{3,}/([A-Za-z0-9_-]{8,})`)},
	{[]string{"interactions/"}, regexp.MustCompile(`/interactions/[0-9]{3,}/([A-Za-z0-9_-]{16,})`)},
	{[]string{"ebhook"}, regexp.MustCompile(`/[Ww]ebhook(?:b2)?/([^\s"'<>?#\\/]*@[^\s"'<>?#\\]+)`)},
	{[]string{"IncomingWebhook/"}, regexp.MustCompile(`/IncomingWebhook/([^\s"'<>?#\\]+)`)},
	{[]string{"hooks/"}, regexp.MustCompile(`/(?:web)?hooks/((?:catch/[0-9]+/)?[A-Za-z0-9_-]*[0-9][A-Za-z0-9_-]*[A-Za-z_][A-Za-z0-9_-]{10,})`)},
}

// values redacts the secrets in a text that are recognized by their forms.
func (r *redaction) values(s string) string {
	if len(s) < minSecret {
		return s
	}
	for _, v := range secretValues {
		for _, need := range v.need {
			if strings.Contains(s, need) {
				s = r.replaceGroup(v.re, min(1, v.re.NumSubexp()), s)
				break
			}
		}
	}
	return r.pathSecrets(r.schemes(s))
}

var pathSecret = regexp.MustCompile(`/([A-Za-z_-]+)/([A-Za-z0-9._~%+=:-]{16,})`)

// pathSecrets redacts the segment of a path after a secret name if it looks like a secret and is not a UUID, which may be
// the number of a resource.
func (r *redaction) pathSecrets(s string) string {
	if strings.Count(s, "/") < 2 {
		return s
	}
	var out strings.Builder
	last := 0
	for at := 0; ; {
		m := pathSecret.FindStringSubmatchIndex(s[at:])
		if m == nil {
			break
		}
		name, start, end := s[at+m[2]:at+m[3]], at+m[4], at+m[5]
		if value := s[start:end]; (r.secret(name, inText) || looseName(name) == "key") && looksRandom(value) && !isUUID.MatchString(value) {
			r.found(value, true)
			out.WriteString(s[last:start] + redacted)
			last = end
		}
		at = at + m[3] // the value may be the next name
	}
	if last == 0 {
		return s
	}
	return out.String() + s[last:]
}

var isUUID = regexp.MustCompile(`^(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

var scheme = regexp.MustCompile(`(?i)\b(bearer|basic|token|bot)(?:\s+|%20|\+)([A-Za-z0-9._~+/-]{8,}=*)`)

// schemes redacts credentials in a text that follow their scheme, as in a header field.
func (r *redaction) schemes(s string) string {
	var out strings.Builder
	last := 0
	for _, m := range scheme.FindAllStringSubmatchIndex(s, -1) {
		value := s[m[4]:m[5]]
		if strings.HasSuffix(value, "=") && m[5] < len(s) && strings.IndexByte(`"'`, s[m[5]]) >= 0 || strings.Contains(value, redacted) {
			continue // a parameter of a challenge
		}
		if word := strings.ToLower(s[m[2]:m[3]]); word == "basic" {
			r.basic(value)
			if plain, err := base64.StdEncoding.DecodeString(value); err != nil || !strings.Contains(string(plain), ":") {
				continue
			}
		} else if !looksRandom(strings.TrimRight(value, "=")) || word != "bearer" && len(value) < 16 {
			continue
		} else {
			r.found(value, true)
		}
		out.WriteString(s[last:m[4]] + redacted)
		last = m[5]
	}
	if last == 0 {
		return s
	}
	return out.String() + s[last:]
}

var (
	base64Run     = regexp.MustCompile(`[A-Za-z0-9+/_-]{12,}={0,2}`)
	wrappedBase64 = regexp.MustCompile(`^\s*[A-Za-z0-9+/]{16,}\r?\n(?:[A-Za-z0-9+/]+\r?\n)*[A-Za-z0-9+/]*={0,2}\s*$`)
	base64Codings = []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding}
)

// base64 redacts the parts of a text that are base64.
func (r *redaction) base64(s string, depth int) string {
	if len(s) < 12 {
		return s
	}
	if wrappedBase64.MatchString(s) {
		width := strings.IndexAny(strings.TrimLeft(s, " \t\r\n"), "\r\n")
		joined := strings.Join(strings.Fields(s), "")
		out := r.base64Value(joined, depth)
		if out == joined {
			return s
		}
		var b strings.Builder
		for ; len(out) > width; out = out[width:] {
			b.WriteString(out[:width] + "\n")
		}
		return b.String() + out + "\n"
	}
	return base64Run.ReplaceAllStringFunc(s, func(m string) string { return r.base64Value(m, depth) })
}

func (r *redaction) base64Value(s string, depth int) string {
	for _, coding := range base64Codings {
		plain, err := coding.DecodeString(s)
		if err != nil {
			continue
		}
		if out := r.coded(plain, depth+1); out != nil {
			return coding.EncodeToString(out)
		}
		return s
	}
	return s
}

// coded redacts decoded bytes, which may be compressed. It returns nil if nothing changes.
func (r *redaction) coded(b []byte, depth int) []byte {
	if coding := compression(b); coding != "" {
		if plain, err := decompress(b, coding); err == nil && isReadable(string(plain)) {
			if out := r.once(string(plain), depth); out != string(plain) {
				return compress([]byte(out), coding)
			}
		}
		return nil
	}
	if s := string(b); isReadable(s) {
		if out := r.once(s, depth); out != s {
			return []byte(out)
		}
	}
	return nil
}

// isReadable reports whether bytes are a text.
func isReadable(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, c := range s {
		if !unicode.IsGraphic(c) && !unicode.IsSpace(c) {
			return false
		}
	}
	return true
}

// basic adds the secrets in Basic credentials (RFC 7617, section 2).
func (r *redaction) basic(coded string) {
	r.found(coded, true)
	for _, coding := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding} {
		if plain, err := coding.DecodeString(coded); err == nil {
			if user, password, ok := strings.Cut(string(plain), ":"); ok {
				r.found(password, true)
				r.basicPair(user, password)
				if password == "" || password == "x-oauth-basic" || password == "X" {
					r.found(user, true) // a token
				}
			}
			return
		}
	}
}

// basicPair adds a user and a password in the forms of Basic credentials.
func (r *redaction) basicPair(user, password string) {
	if password != "" {
		r.found(user+":"+password, true)
		r.found(base64.StdEncoding.EncodeToString([]byte(user+":"+password)), true)
	}
}
