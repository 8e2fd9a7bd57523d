package main

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"testing/synctest"
)

// FuzzTransport plays a script of requests, answers and times against a Transport, and has the model judge every answer.
func FuzzTransport(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 40 {
		f.Add(randomScript(r))
	}
	f.Fuzz(func(t *testing.T, script []byte) { playIn(t, script) })
}

func randomScript(r *rand.Rand) []byte {
	script := make([]byte, 2+stepSize*(2+r.IntN(maxSteps-2)))
	for i := range script {
		script[i] = byte(r.Uint32())
	}
	return script
}

func playIn(t *testing.T, script []byte) (kinds map[string]int) {
	synctest.Test(t, func(t *testing.T) {
		var err error
		if kinds, err = play(t, script, func() string { return tempDir(t) }); err != nil {
			t.Error(err)
		}
	})
	return kinds
}

// tempDir is t.TempDir, in memory where there is such a place: a script lives for a moment.
func tempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("/dev/shm", "cachecontrol")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// TestModel plays random scripts, the same ones each time, and sees to it that they bring up all that there is to judge.
// CACHECONTROL_STORIES is how many, and CACHECONTROL_SEED makes them others.
func TestModel(t *testing.T) {
	n := 1500
	if testing.Short() {
		n = 600
	}
	if more, err := strconv.Atoi(os.Getenv("CACHECONTROL_STORIES")); err == nil {
		n = more
	}
	seed, err := strconv.ParseUint(os.Getenv("CACHECONTROL_SEED"), 10, 64)
	if err != nil {
		seed = 2
	}
	r := rand.New(rand.NewPCG(seed, 2))
	kinds := map[string]int{}
	for range n {
		for kind, k := range playIn(t, randomScript(r)) {
			kinds[kind] += k
		}
		if t.Failed() {
			return
		}
	}
	want := []string{"hit 200", "hit 206", "hit 304", "hit 301", "stale 200", "stale 206", "stale 304", "revalidated 200", "revalidated 206", "miss 206", "bypass 200", "bypass 412",
		"kept", "kept stale", "kept after 403 or 429", "kept next to a variant", "slow"}
	if n >= 1500 { // it is rare
		want = append(want, "held back")
	}
	for _, kind := range want {
		if kinds[kind] == 0 {
			t.Errorf("no %s in %d scripts: %v", kind, n, kinds)
		}
	}
	t.Logf("%d scripts: %v", n, kinds)
}
