package cachecontrol

// The first variant of a URL is stored under the plain key, and its entry lists the others. A goroutine that changes
// the list holds the lock of the key. Other processes do not, so the list is read again right before it is written.
