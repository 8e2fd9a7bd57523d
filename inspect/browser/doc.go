// Package browser tests the pages of package inspect in a browser. It is a module of its own, so that nothing else depends
// on the driver of the browser.
package browser
