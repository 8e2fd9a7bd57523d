// Package migrate holds a small program twice: before, written for gregjones/httpcache, and after, moved here by the table in
// docs/migrating.md. The tests of the two are the same.
package migrate
