// Package credential knows the names of request header fields that carry secrets.
package credential

import (
	"net/http"
	"slices"
)

// names are in canonical form and sorted.
var names = []string{
	"Api-Key", "Apikey", "Authorization", "Cf-Access-Client-Secret", "Cf-Access-Jwt-Assertion", "Cookie", "Cookie2", "Deploy-Token",
	"Dpop", "Job-Token", "Ocp-Apim-Subscription-Key", "Private-Token", "Proxy-Authorization", "X-Access-Token",
	"X-Amz-Security-Token", "X-Api-Key", "X-Api-Token", "X-Apikey", "X-Auth", "X-Auth-Key", "X-Auth-Token", "X-Authorization",
	"X-Consul-Token", "X-Csrf-Token", "X-Figma-Token", "X-Forwarded-Access-Token", "X-Github-Token", "X-Gitlab-Token",
	"X-Goog-Api-Key", "X-Goog-Iap-Jwt-Assertion", "X-Ms-Token-Aad-Access-Token", "X-Secret", "X-Session-Id", "X-Session-Token",
	"X-Shopify-Access-Token", "X-Subject-Token", "X-Token", "X-Vault-Token", "X-Xsrf-Token",
}

// IsField reports whether the values of the request field with this name are secrets: Authorization, Proxy-Authorization, Cookie,
// and the usual names of API keys and tokens.
func IsField(name string) bool {
	_, found := slices.BinarySearch(names, http.CanonicalHeaderKey(name))
	return found
}
