// Package apitest compiles programs of users against the public packages. The programs are in testdata, in a module of
// their own, and import no internal package. A test fails if one of them does not compile, or if an exported name is
// used by none of them.
//
// It also checks the structure of the public packages: the order of their files, and the length of their functions.
package apitest
