// Package foreground has the key of a context value that tells requests that a caller waits for from work in the background.
package foreground

// Key is the key of a value that ends with the request it was set for. A context of work in the background has the other values of
// that request's context, and not this one.
type Key struct{}
