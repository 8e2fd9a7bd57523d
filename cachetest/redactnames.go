package cachetest

import (
	"strings"
)

// A place is the kind of syntax in which a name is used.
type place int

const (
	inText  place = iota // JSON, XML, YAML, GraphQL and other texts
	inQuery              // a parameter of a URL or a form
	inField              // a header field
)

// secretNames are redacted in every place. They are in the form that looseName returns. See secretEndings for more.
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

// queryNames are redacted only in URLs and forms. In other places they are common words.
var queryNames = nameSet(`
	key code auth sig signature hmac policy keypairid ticket pass pw pin sid session credential credentials oauthnonce
`)

// fieldNames are redacted only in header fields.
var fieldNames = nameSet(`
	key auth signature xauth xauthkey xfunctionskey xhubsignature xhubsignature256 xslacksignature stripesignature
	replaynonce xsession dpop
`)

// secretEndings are endings of names that are redacted, such as X-Vault-Token, newPassword and AZURE_CLIENT_SECRET.
var secretEndings = []string{
	"token", "secret", "password", "passwd", "passphrase", "passcode", "apikey", "privatekey", "secretkey", "accesskey", "accountkey",
	"masterkey", "signingkey", "encryptionkey", "subscriptionkey", "authkey", "sharedkey", "licensekey", "jwt", "sessionid",
	"assertion", "codeverifier", "authorization", "cookie", "pwd",
}

// ordinaryNames are not redacted although their endings are in secretEndings. Most of them hold a position in a list, and a
// test needs them to tell requests apart.
var ordinaryNames = nameSet(`
	pagetoken nextpagetoken prevpagetoken previouspagetoken nexttoken prevtoken previoustoken continuationtoken
	nextcontinuationtoken synctoken nextsynctoken paginationtoken pagingtoken startingtoken starttoken resumetoken
	cursortoken scrolltoken skiptoken sincetoken deltatoken changetoken
	eostoken bostoken padtoken unktoken septoken clstoken masktoken stoptoken maxtoken
`)

// authParameters are the secret parameters of challenges and of Authentication-Info (RFC 7616, sections 3.3 to 3.5).
var authParameters = nameSet(`nonce nextnonce cnonce opaque response rspauth data s2s sid`)

func nameSet(names string) map[string]bool {
	set := map[string]bool{}
	for name := range strings.FieldsSeq(names) {
		set[name] = true
	}
	return set
}

// looseName returns the same name for names that differ only in case, hyphens and underscores, such as X-Api-Key,
// x_api_key and xApiKey.
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

// pairNames and pairValues are the names of the two halves of {"name": "api_key", "value": "..."}.
var (
	pairNames  = nameSet("name key field header id property attribute variable parameter httpequiv itemprop path label")
	pairValues = nameSet("value val content text default defaultvalue stringvalue datavalue values")
)

// redacted replaces a secret.
const redacted = "REDACTED"
