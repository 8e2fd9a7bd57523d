package credential

import "testing"

// Names that widely used services have.
func TestUsualNames(t *testing.T) {
	for _, name := range []string{
		"Api-Key", "Apikey", "Authorization", "Cf-Access-Client-Secret", "Cf-Access-Jwt-Assertion", "Cookie", "Cookie2", "Deploy-Token",
		"Dpop", "Job-Token", "Ocp-Apim-Subscription-Key", "Private-Token", "Proxy-Authorization", "X-Access-Token",
		"X-Amz-Security-Token", "X-Api-Key", "X-Api-Token", "X-Apikey", "X-Auth", "X-Auth-Key", "X-Auth-Token", "X-Authorization",
		"X-Consul-Token", "X-Csrf-Token", "X-Figma-Token", "X-Forwarded-Access-Token", "X-Github-Token", "X-Gitlab-Token",
		"X-Goog-Api-Key", "X-Goog-Iap-Jwt-Assertion", "X-Ms-Token-Aad-Access-Token", "X-Secret", "X-Session-Id", "X-Session-Token",
		"X-Shopify-Access-Token", "X-Subject-Token", "X-Token", "X-Vault-Token", "X-Xsrf-Token",
	} {
		if !IsField(name) {
			t.Errorf("IsField(%q) = false, want true", name)
		}
	}
}

func TestIsField(t *testing.T) {
	for name, want := range map[string]bool{
		"Authorization": true, "COOKIE": true, "x-api-key": true, "Proxy-Authorization": true,
		"Accept": false, "": false, "User-Agent": false, "X-Api-Version": false,
		// Of the names that programs make up, the words tell.
		"X-CSRFToken": true, "CSRF-Token": true, "Access-Token": true, "X-Id-Token": true, "X-Plex-Token": true, "Circle-Token": true, "token": true,
		"X-Rundeck-Auth-Token": true, "X-TrackerToken": true, "X-Client-Secret": true, "Client_Secret": true, "X-Password": true, "X-Passwd": true,
		"DD-API-KEY": true, "DD-APPLICATION-KEY": true, "X-MBX-APIKEY": true, "X-RapidAPI-Key": true, "X-NuGet-ApiKey": true, "Fastly-Key": true, "api_key": true,
		"X-Session": true, "Session-Id": true, "X-SessionId": true, "X-Parse-Session-Token": true, "JWT": true, "X-Jwt-Assertion": true, "X-Amzn-Oidc-Data": true,
		"X-Forwarded-Authorization": true, "X-Original-Authorization": true, "X-Auth-Request-Access-Token": true, "X-Auth-User": true, "Authentication": true,
		"X-Cookie": true, "X-Signature": true, "X-Hub-Signature-256": true, "Signature": true, "X-Credentials": true, "X-Ms-Client-Principal": true,
		"X-Client-Cert": true, "Client-Cert": true, "X-Ssl-Client-Cert": true, "X-Passphrase": true, "X-Otp": true, "X-Pin": true, "X-PAT": true, "Bearer": true,
		"Accept-Encoding": false, "Accept-Language": false, "Origin": false, "Referer": false, "Host": false, "X-Author": false, "X-Keyboard": false,
		"X-Requested-With": false, "Sec-Fetch-Mode": false, "X-Monkey": false, "Save-Data": false, "Hx-Request": false, "X-Pinned": false, "X-Path": false,
	} {
		if got := IsField(name); got != want {
			t.Errorf("IsField(%q) = %t, want %t", name, got, want)
		}
	}
}
