// Package apitest compiles programs of users against the public packages. The programs are in testdata, in a module of
// their own, and import no internal package. A test fails if one of them does not compile, or if an exported name is
// used by none of them.
package apitest
