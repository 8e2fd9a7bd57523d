// Package programs tests programs that use the cache through "cachecontrol proxy": package managers, git, browsers and
// clients for HTTP. The programs and the proxy are real processes. A test whose program is missing is skipped; see
// package internal/peer.
package programs
