// Package chaos tests the stores for several machines with real servers behind a proxy that delays, drops and cuts what
// they send. It is a module of its own, because only its tests need the proxy.
package chaos
