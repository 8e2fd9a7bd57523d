// Package probe asks an origin whether what its responses promise to caches is true: whether validation
// works, whether ranges agree with the whole, whether Vary names what the content depends on, and
// whether HEAD agrees with GET. It sends GET and HEAD requests one after the other, few in number, and
// reads only the beginning of long bodies.
package probe
