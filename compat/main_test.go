package compat

import (
	"os"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/leak"
)

// TestMain fails if a test leaves a goroutine behind.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }
