// Package foreground defines the key of a context value that distinguishes requests for which a caller waits from work in the
// background.
package foreground

// Key is the key of a value that only the request has for which it was set. Work in the background that the request starts has a
// context with the request's other values.
type Key struct{}
