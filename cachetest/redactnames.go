package cachetest

import (
	"strings"
)

// A place is the kind of syntax that a name stands in.
type place int

const (
	inText  place = iota // a member of JSON, an element or attribute of XML, a key of YAML, an argument of GraphQL
	inQuery              // a parameter of a URL or a form
	inField              // a header field
)

// secretNames are redacted in every place. They are written as looseName makes them. Many more are found by their
// ending: see secretEndings.
var secretNames = nameSet(`
	authorization proxyauthorization cookie cookie2 setcookie setcookie2
	password passwd passphrase passcode pwd secret token jwt bearer
	passwordconfirmation passwordconfirm passwordagain passwordhash
	secretid secretstring secretbinary secretvalue secrettext secretkeybase tokenvalue
	apikey privatekey privatekeydata privatekeypem clientkeydata secretkey accesskeyid awsaccesskeyid googleaccessid
	assertion samlresponse samlrequest samlart codeverifier devicecode usercode authcode oauthverifier
	verificationcode recoverycode mfacode otp totp otpcode
	csrf xsrf sessionid jsessionid phpsessid aspsessionid aspnetsessionid sharedaccesssignature
	xamzcredential xamzsignature xgoogcredential xgoogsignature oauthsignature
`)

// queryNames are redacted in URLs and forms alone. In other places they are common words.
var queryNames = nameSet(`
	key code auth sig signature hmac policy keypairid ticket pass pw pin sid session credential credentials oauthnonce
`)

// fieldNames are redacted in header fields alone.
var fieldNames = nameSet(`
	key auth signature xauth xauthkey xfunctionskey xhubsignature xhubsignature256 xslacksignature stripesignature
	replaynonce xsession dpop
`)

// secretEndings make a secret of each name that ends so, as in X-Vault-Token, newPassword and AZURE_CLIENT_SECRET.
var secretEndings = []string{
	"token", "secret", "password", "passwd", "passphrase", "passcode", "apikey", "privatekey", "secretkey", "accesskey", "accountkey",
	"masterkey", "signingkey", "encryptionkey", "subscriptionkey", "authkey", "sharedkey", "licensekey", "jwt", "sessionid",
	"assertion", "codeverifier", "authorization", "cookie", "pwd",
}

// ordinaryNames end as secrets do, and are none. Most are places in a list, which a test needs to tell requests apart.
var ordinaryNames = nameSet(`
	pagetoken nextpagetoken prevpagetoken previouspagetoken nexttoken prevtoken previoustoken continuationtoken
	nextcontinuationtoken synctoken nextsynctoken paginationtoken pagingtoken startingtoken starttoken resumetoken
	cursortoken scrolltoken skiptoken sincetoken deltatoken changetoken
	eostoken bostoken padtoken unktoken septoken clstoken masktoken stoptoken maxtoken
`)

// authParameters are the parameters of challenges and of Authentication-Info that hold what one connection is worth
// (RFC 7616, sections 3.3 to 3.5).
var authParameters = nameSet(`nonce nextnonce cnonce opaque response rspauth data s2s sid`)

func nameSet(names string) map[string]bool {
	set := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		set[name] = true
	}
	return set
}

// looseName makes names equal that differ in case, hyphens and underscores only: X-Api-Key, x_api_key, xApiKey.
func looseName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c == '-' || c == '_' || c == ' ' || c == '$':
		case 'A' <= c && c <= 'Z':
			b.WriteByte(c + 'a' - 'A')
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// secret reports whether values of that name are redacted. Of a name with parts, as user[password] and wsse:Password,
// the last part is a name too.
func (r *redactor) secret(name string, at place) bool {
	if len(name) > 1000 || r.kept[looseName(name)] {
		return false
	}
	if r.listed(looseName(name), at) {
		return true
	}
	name = strings.TrimRight(strings.TrimSuffix(name, "[]"), "])}")
	if i := strings.LastIndexAny(name, "[({.:/"); i >= 0 {
		last := looseName(name[i+1:])
		return !r.kept[last] && r.listed(last, at)
	}
	return false
}

func (r *redactor) listed(name string, at place) bool {
	switch {
	case r.names[name] || secretNames[name] || at == inQuery && queryNames[name] || at == inField && fieldNames[name]:
		return true
	case ordinaryNames[name]:
		return false
	}
	name = strings.TrimRight(name, "0123456789")
	for _, ending := range secretEndings {
		if strings.HasSuffix(name, ending) {
			return !ordinaryNames[name]
		}
	}
	return at != inText && strings.HasSuffix(name, "signature")
}

// secretMember reports whether a string is redacted under that name in a text: under some common words a value is
// a secret if it looks like one.
func (r *redactor) secretMember(name, value string) bool {
	if r.secret(name, inText) {
		return true
	}
	loose := looseName(name)
	if r.kept[loose] {
		return false
	}
	switch loose {
	case "auth", "sig", "credential", "session", "sid":
		return looksRandom(value)
	case "key", "code":
		return len(value) >= 20 && looksRandom(value)
	}
	return false
}

// pairNames and pairValues are the names of the two halves of {"name": "api_key", "value": "..."}.
var (
	pairNames  = nameSet("name key field header id property attribute variable parameter httpequiv itemprop path label")
	pairValues = nameSet("value val content text default defaultvalue stringvalue datavalue values")
)
