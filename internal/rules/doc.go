// Package rules implements the rules of RFC 9111 as pure functions of header fields and times. It does
// no I/O and reads no clock.
//
// It is the package that the others of this module use: a request and a response are parsed once, and
// a Policy is computed once for each stored response. Package rfc9111 is its form for other modules.
package rules
