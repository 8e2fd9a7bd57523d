package rediscache_test

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
	"github.com/go-cachecontrol/cachecontrol/storage/rediscache"
)

// fakeRedis answers every command with what reply returns, which gets the words of the command. It returns its address.
func fakeRedis(t *testing.T, reply func(words []string) string) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	var mu sync.Mutex // guards open
	var open []net.Conn
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			open = append(open, conn)
			mu.Unlock()
			all.Go(func() {
				defer conn.Close()
				in := bufio.NewReader(conn)
				for {
					words, err := readCommand(in)
					if err != nil {
						return
					}
					text := reply(words)
					if _, err := conn.Write([]byte(text)); err != nil || text == "" {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range open {
			conn.Close()
		}
		mu.Unlock()
		all.Wait()
	})
	return l.Addr().String()
}

// readCommand reads an array of strings.
func readCommand(in *bufio.Reader) (words []string, err error) {
	number := func() (n int, err error) {
		line, err := in.ReadString('\n')
		if err != nil || len(line) < 3 {
			return 0, fmt.Errorf("line %q: %w", line, err)
		}
		return strconv.Atoi(strings.TrimSpace(line[1:]))
	}
	n, err := number()
	for range n {
		var size int
		if size, err = number(); err != nil {
			break
		}
		word := make([]byte, size+2)
		for read := 0; read < len(word) && err == nil; {
			var k int
			k, err = in.Read(word[read:])
			read += k
		}
		words = append(words, strings.ToLower(string(word[:size])))
	}
	return words, err
}

// TestHostileServer: whatever a server answers, no request fails, and none gets the response to another one.
func TestHostileServer(t *testing.T) {
	e := entry("http://example.com/another", time.Hour)
	e.Length = 7
	another, err := document.Marshal(e, []byte("another"))
	if err != nil {
		t.Fatal(err)
	}
	bulk := func(text string) string { return fmt.Sprintf("$%d\r\n%s\r\n", len(text), text) }
	garbage := make([]byte, 4<<10)
	random := rand.New(rand.NewPCG(1, 2))
	for i := range garbage {
		garbage[i] = byte(random.Uint32())
	}
	for name, answer := range map[string]string{
		"garbage":                   string(garbage),
		"a line without an end":     "+OK",
		"nothing":                   "",
		"OK":                        "+OK\r\n",
		"a number":                  ":1\r\n",
		"a number that is none":     ":x\r\n",
		"nil":                       "$-1\r\n",
		"an error":                  "-ERR no\r\n",
		"a value of another key":    bulk(string(another)),
		"a value cut short":         fmt.Sprintf("$%d\r\n%s", 2*len(another), another),
		"a huge value":              "$9223372036854775800\r\n",
		"a long value":              "$999999999\r\nx",
		"a negative length":         "$-9\r\n",
		"a huge array":              "*9223372036854775800\r\n",
		"a long array":              "*9999999\r\n",
		"arrays in arrays":          strings.Repeat("*1\r\n", 2000),
		"a huge map":                "%9223372036854775800\r\n",
		"a message":                 ">2\r\n+invalidate\r\n*1\r\n+x\r\n",
		"a head with a huge length": bulk("cc=go1," + strings.Repeat("\xff", 100)),
		"a document of one byte":    bulk("cc=4,\xc1"),
	} {
		for _, heeds := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, ContextTimeoutEnabled %t", name, heeds), func(t *testing.T) {
				t.Parallel()
				// A client that gets no sense from HELLO gives up, so this is answered well by half of the servers.
				for _, hello := range []bool{true, false} {
					addr := fakeRedis(t, func(words []string) string {
						switch {
						case hello && words[0] == "hello":
							return "-ERR unknown command\r\n"
						case hello && words[0] == "client":
							return "+OK\r\n"
						}
						return answer
					})
					client := newClient(t, addr, func(o *redis.Options) { o.ContextTimeoutEnabled, o.MaxRetries = heeds, -1 })
					tiered := storage.Tiered(nil, rediscache.New(client, rediscache.Timeout(100*time.Millisecond)), 0) // it also watches
					tr := &cachecontrol.Transport{Base: origin{}, Store: tiered}
					for i := range 4 {
						if _, err := fetch(tr, fmt.Sprint("/", i%2)); err != nil {
							t.Errorf("request %d: %v", i, err)
						}
					}
					tr.Close()
					tiered.Close()
				}
			})
		}
	}
}
