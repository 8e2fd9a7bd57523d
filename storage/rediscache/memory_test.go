//go:build linux && !race

package rediscache_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/internal/redistest"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

const (
	memoryEnv   = "REDISCACHE_TEST_MEMORY" // the address, for the process that is measured
	memoryLimit = 64 << 20
	memoryFull  = 256 << 20
	memoryShort = 32 << 20
)

// TestMemory has a long body stored, and read again, each by a process of its own, and looks at the most memory that
// the process had resident, as the kernel counts it.
func TestMemory(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	size := memoryShort
	if *full {
		size = memoryFull
	}
	s := redistest.Start(t)
	for _, want := range []cachecontrol.Outcome{cachecontrol.Miss, cachecontrol.Hit} {
		cmd := exec.Command(exe, "-test.run=^TestMemoryProcess$", "-test.count=1", "-test.v")
		cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", memoryEnv, s.Addr, size))
		start := time.Now()
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		took := time.Since(start)
		_, said, _ := strings.Cut(string(out), "measured ")
		said, _, _ = strings.Cut(said, "\n")
		outcome, text, _ := strings.Cut(said, " ")
		peak, err := strconv.ParseInt(text, 10, 64)
		if err != nil || outcome != want.String() {
			t.Fatalf("%q, want %v\n%s", said, want, out)
		}
		t.Logf("%d MiB, %v: peak %.1f MiB, %v", size>>20, want, float64(peak)/(1<<20), took.Round(time.Millisecond))
		if peak > memoryLimit {
			t.Errorf("%v: %d bytes of memory for a body of %d", want, peak, size)
		}
	}
}

// TestMemoryProcess is the process that TestMemory measures.
func TestMemoryProcess(t *testing.T) {
	addr, text, ok := strings.Cut(os.Getenv(memoryEnv), " ")
	if !ok {
		t.Skip("run by TestMemory")
	}
	size, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	defer client.Close()
	tr := &cachecontrol.Transport{Base: pattern(size), Store: rediscache.New(client, patient), MaxBodyBytes: size}
	defer tr.Close()
	req, err := http.NewRequestWithContext(t.Context(), "GET", "http://example.com/long", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got, want sums
	if n, err := io.Copy(&got, resp.Body); n != size || err != nil {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if io.Copy(&want, &patternBody{left: size}); got != want {
		t.Fatal("another body")
	}
	peak, err := peakMemory()
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("measured %v %d\n", cachecontrol.StatusOf(resp).Outcome, peak)
}

// peakMemory returns the most memory that this process had resident at a time, in bytes.
func peakMemory() (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("the kernel does not say")
}

// pattern answers every request with a body of so many bytes.
type pattern int64

func (size pattern) RoundTrip(req *http.Request) (*http.Response, error) {
	return &http.Response{
		StatusCode: 200, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header:        http.Header{"Cache-Control": {"max-age=3600"}},
		ContentLength: int64(size), Body: io.NopCloser(&patternBody{left: int64(size)}),
	}, nil
}

// patternBody reads bytes that do not repeat soon.
type patternBody struct {
	left  int64
	state uint64
}

func (b *patternBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), b.left)]
	for i := range p {
		b.state = b.state*6364136223846793005 + 1442695040888963407
		p[i] = byte(b.state >> 56)
	}
	b.left -= int64(len(p))
	return len(p), nil
}

// sums is the checksum of what is written to it.
type sums uint32

func (s *sums) Write(p []byte) (int, error) {
	*s = sums(checksum.Update(uint32(*s), p))
	return len(p), nil
}
