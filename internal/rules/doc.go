// Package rules implements the rules of RFC 9111 as pure functions of header fields and times, in the form that the
// packages of this module need. Package rfc9111 is their public form.
package rules
