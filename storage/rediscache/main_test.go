package rediscache_test

import (
	"os"
	"testing"

	"github.com/redis/go-redis/v9/logging"

	"github.com/go-cachecontrol/cachecontrol/internal/leak"
)

// No test leaves a goroutine behind.
func TestMain(m *testing.M) {
	logging.Disable() // the client's own, of servers that are out of order on purpose
	os.Exit(leak.Run(m))
}
