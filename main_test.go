package cachecontrol_test

import (
	"os"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/leak"
)

// No test leaves a goroutine behind: neither the cache nor a test may.
func TestMain(m *testing.M) { os.Exit(leak.Run(m)) }
