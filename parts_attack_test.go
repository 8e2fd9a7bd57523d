package cachecontrol_test

import (
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/parttest"
)

// Whatever happens to the stored parts of a file, no byte of an answer is wrong.
func TestPartsAttacked(t *testing.T) {
	for name, open := range storeKinds {
		t.Run(name, func(t *testing.T) { parttest.Run(t, open) })
	}
}
