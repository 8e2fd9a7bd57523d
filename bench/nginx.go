package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// The command's proxy is compared with nginx and its proxy_cache. Both are in front of the same origin and answer the
// same requests with hits, made by wrk on the same machine.

const (
	wrkConnections = 32
	wrkSeconds     = 1
	nginxRounds    = 7
)

// errNoPeer is the error for a missing program.
var errNoPeer = errors.New("to install nginx and wrk: apt-get install nginx-light wrk")

// proxyServer is a running caching proxy.
type proxyServer struct {
	name string
	url  string
	pid  int
	stop func()
}

// proxyPages are the pages that are requested from the proxies.
var proxyPages = []string{"/1KiB", "/1MiB"}

// measureProxies measures throughput and the CPU time of a request.
func measureProxies(ctx context.Context, command string, progress io.Writer) (blocks, error) {
	for _, name := range []string{"nginx", "wrk"} {
		if _, err := program(name); err != nil {
			return nil, fmt.Errorf("%w: %w", err, errNoPeer)
		}
	}
	dir, err := os.MkdirTemp("", "cachecontrol-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	o := newPageServer()
	defer o.Close()
	exe, err := buildProxy(ctx, dir, "")
	if err != nil {
		return nil, err
	}
	var servers []*proxyServer
	defer func() {
		for _, s := range servers {
			s.stop()
		}
	}()
	for _, start := range []func() (*proxyServer, error){
		func() (*proxyServer, error) { return startOurs(ctx, "proxy, memory", exe, o.URL, "memory") },
		func() (*proxyServer, error) {
			return startOurs(ctx, "proxy, separate", exe, o.URL, "separate:"+filepath.Join(dir, "cache"))
		},
		func() (*proxyServer, error) { return startNginx(ctx, dir, o.URL) },
	} {
		s, err := start()
		if err != nil {
			return nil, err
		}
		servers = append(servers, s)
	}
	reference := servers[len(servers)-1].name

	rates, costs := map[string][]round{}, map[string][]round{}
	for _, page := range proxyPages {
		for _, s := range servers {
			if err := o.expectHit(s.url + page); err != nil {
				return nil, fmt.Errorf("%s: %w", s.name, err)
			}
		}
		for i := range nginxRounds {
			fmt.Fprintf(progress, "%s, round %d of %d\n", page, i+1, nginxRounds)
			rate, cost := round{}, round{}
			for _, j := range rand.Perm(len(servers)) {
				s := servers[j]
				before := o.requests.Load()
				perSecond, cpu, err := runWrk(ctx, s, page, wrkSeconds)
				if err != nil {
					return nil, fmt.Errorf("%s: %w", s.name, err)
				}
				if o.requests.Load() != before {
					return nil, fmt.Errorf("%s: not every request was a hit", s.name)
				}
				rate[s.name], cost[s.name] = measurement{ns: perSecond}, measurement{ns: cpu}
			}
			rates[page], costs[page] = append(rates[page], rate), append(costs[page], cost)
		}
	}
	t := table{{"hits", "server", "requests a second", "x nginx", "least", "greatest", "processor time of a request", "x nginx"}}
	for _, page := range proxyPages {
		for _, s := range servers {
			var perSecond, cpu []float64
			for i := range rates[page] {
				perSecond, cpu = append(perSecond, rates[page][i][s.name].ns), append(cpu, costs[page][i][s.name].ns)
			}
			faster, _ := ratios(rates[page], s.name, []string{reference})
			dearer, _ := ratios(costs[page], s.name, []string{reference})
			row := []string{
				strings.TrimPrefix(page, "/"), s.name, strconv.Itoa(int(newSpread(perSecond).median)),
				"**" + significant(faster.median) + "**", significant(faster.least), significant(faster.greatest), "", "",
			}
			if cost := newSpread(cpu).median; cost > 0 {
				row[6], row[7] = duration(cost), "**"+significant(dearer.median)+"**"
			}
			t = append(t, row)
		}
	}
	profile, err := profileProxy(ctx, dir, o)
	if err != nil {
		return nil, err
	}
	about := measuredBy(command) + fmt.Sprintf(" %s. %d rounds of %d s for each, %d connections.",
		version(ctx, "nginx", "-v"), nginxRounds, wrkSeconds, wrkConnections)
	return blocks{{"nginx", about + "\n\n" + t.String()}, {"proxyprofile", profile}}, nil
}

// pageServer is an origin on the loopback interface.
type pageServer struct {
	*httptest.Server
	origin
}

func newPageServer() *pageServer {
	s := new(pageServer)
	pages := map[string]page{"/1KiB": newPage(1<<10, fresh), "/1MiB": newPage(1<<20, fresh)}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		p, ok := pages[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		for name, values := range p.header {
			w.Header()[name] = values
		}
		w.Write(p.body)
	}))
	return s
}

// expectHit requests a page until it is stored. It returns an error unless the page then comes from the cache.
func (s *pageServer) expectHit(url string) error {
	for range 2 {
		before := s.requests.Load()
		resp, err := http.Get(url)
		if err != nil {
			return err
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || n != resp.ContentLength || n < 1<<10 {
			return fmt.Errorf("%s: %s, %d bytes, %v", url, resp.Status, n, err)
		}
		if s.requests.Load() == before {
			return nil
		}
	}
	return fmt.Errorf("%s: a second request is no hit", url)
}

// program returns the path of a program, which may be in /usr/sbin even if that is not in PATH.
func program(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return exec.LookPath("/usr/sbin/" + name)
	}
	return path, nil
}

func version(ctx context.Context, name string, args ...string) string {
	path, err := program(name)
	if err != nil {
		return ""
	}
	out, _ := exec.CommandContext(ctx, path, args...).CombinedOutput()
	_, v, _ := strings.Cut(strings.TrimSpace(string(out)), ": ")
	return strings.TrimPrefix(v, "nginx version: ")
}

// buildProxy builds the command, with an overlay if that is given.
func buildProxy(ctx context.Context, dir, overlay string) (string, error) {
	exe := filepath.Join(dir, "cachecontrol")
	args := []string{"build", "-o", exe}
	if overlay != "" {
		exe += "-profiled"
		args = []string{"build", "-o", exe, "-overlay", overlay}
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/cachecontrol")...)
	cmd.Dir = ".."
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return exe, nil
}

// startOurs starts the command's proxy. env is added to its environment.
func startOurs(ctx context.Context, name, exe, upstream, store string, env ...string) (*proxyServer, error) {
	cmd := exec.CommandContext(ctx, exe, "proxy", "--listen", "127.0.0.1:0", "--upstream", upstream, "--store", store)
	cmd.Env = append(os.Environ(), env...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &proxyServer{name: name, pid: cmd.Process.Pid, stop: func() {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
	}}
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			s.stop()
			return nil, fmt.Errorf("%s: %q, %w", name, line, err)
		}
		if m := regexp.MustCompile(`listening on (http://[^,\s]+)`).FindStringSubmatch(line); m != nil {
			s.url = m[1]
			go io.Copy(io.Discard, lines)
			return s, nil
		}
	}
}

// startNginx starts nginx with its own configuration in its own directory.
func startNginx(ctx context.Context, dir, upstream string) (*proxyServer, error) {
	path, err := program("nginx")
	if err != nil {
		return nil, err
	}
	prefix := filepath.Join(dir, "nginx")
	if err := os.Mkdir(prefix, 0o700); err != nil {
		return nil, err
	}
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	user := ""
	if os.Getuid() == 0 {
		user = "user root;\n" // the directory belongs to root
	}
	conf := filepath.Join(prefix, "nginx.conf")
	text := user + fmt.Sprintf(`daemon off;
worker_processes %d;
pid nginx.pid;
error_log error.log;
events { worker_connections 1024; }
http {
	access_log off;
	sendfile on;
	tcp_nopush on;
	keepalive_requests 100000000;
	proxy_cache_path cache levels=1:2 keys_zone=pages:10m use_temp_path=off;
	client_body_temp_path body;
	proxy_temp_path temp;
	fastcgi_temp_path fastcgi;
	uwsgi_temp_path uwsgi;
	scgi_temp_path scgi;
	server {
		listen %s;
		location / {
			proxy_pass %s;
			proxy_http_version 1.1;
			proxy_cache pages;
			add_header X-Cache $upstream_cache_status;
		}
	}
}
`, runtime.NumCPU(), address, upstream)
	if err := os.WriteFile(conf, []byte(text), 0o600); err != nil {
		return nil, err
	}
	var said bytes.Buffer
	cmd := exec.CommandContext(ctx, path, "-p", prefix, "-c", conf, "-e", filepath.Join(prefix, "error.log"))
	cmd.Stderr = &said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	s := &proxyServer{name: "nginx", url: "http://" + address, pid: cmd.Process.Pid, stop: func() {
		cmd.Process.Signal(os.Interrupt) // it then stops its workers
		<-ended
	}}
	for range 100 {
		if conn, err := net.Dial("tcp", address); err == nil {
			conn.Close()
			return s, nil
		}
		select {
		case <-ended:
			return nil, fmt.Errorf("nginx: %s", said.String())
		case <-time.After(50 * time.Millisecond):
		}
	}
	s.stop()
	return nil, errors.New("nginx does not answer")
}

func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

// runWrk requests a page from a server for some seconds. cpu is the CPU time of a request in nanoseconds, or 0 if it
// is not known on this system.
func runWrk(ctx context.Context, s *proxyServer, page string, seconds int) (perSecond, cpu float64, err error) {
	path, err := program("wrk")
	if err != nil {
		return 0, 0, err
	}
	before := cpuTime(s.pid)
	out, err := exec.CommandContext(ctx, path, "-t1", "-c"+strconv.Itoa(wrkConnections), "-d"+strconv.Itoa(seconds)+"s", s.url+page).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	requests := regexp.MustCompile(`(\d+) requests in`).FindSubmatch(out)
	rate := regexp.MustCompile(`Requests/sec:\s+([\d.]+)`).FindSubmatch(out)
	if requests == nil || rate == nil || bytes.Contains(out, []byte("Non-2xx")) || bytes.Contains(out, []byte("Socket errors")) {
		return 0, 0, fmt.Errorf("wrk: %s", out)
	}
	perSecond, _ = strconv.ParseFloat(string(rate[1]), 64)
	n, _ := strconv.ParseFloat(string(requests[1]), 64)
	return perSecond, float64(cpuTime(s.pid)-before) / n, nil
}

// cpuTime returns the CPU time that a process and its children have used, in ticks of a hundredth of a second. It needs
// /proc.
func cpuTime(pid int) time.Duration {
	const tick = 10 * time.Millisecond
	var ticks int64
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the process has ended
		}
		// The name, in parentheses, may contain any character.
		i := bytes.LastIndexByte(text, ')')
		id, _, _ := strings.Cut(string(text), " ")
		fields := strings.Fields(string(text[i+1:]))
		if i < 0 || len(fields) < 13 || id != strconv.Itoa(pid) && fields[1] != strconv.Itoa(pid) {
			continue
		}
		for _, f := range fields[11:13] {
			n, _ := strconv.ParseInt(f, 10, 64)
			ticks += n
		}
	}
	return time.Duration(ticks) * tick
}
