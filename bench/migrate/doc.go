// Package migrate contains a small program twice. Package before uses gregjones/httpcache. Package after is the same
// program, migrated with the table in docs/migrating.md. The tests of the two are the same.
package migrate
