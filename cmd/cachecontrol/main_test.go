package main

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"
)

// buffer is a bytes.Buffer for several goroutines. It calls line, if it is not nil, with every complete line.
type buffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer // guarded by mu
	rest string       // guarded by mu
	line func(string)
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.buf.Write(p)
	if b.line != nil {
		b.rest += string(p)
		for {
			line, rest, ok := strings.Cut(b.rest, "\n")
			if !ok {
				break
			}
			b.rest = rest
			b.line(line)
		}
	}
	return len(p), nil
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// call runs the program in this process.
func call(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return callContext(t.Context(), args...)
}

func callContext(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errs buffer
	code = run(ctx, args, &out, &errs)
	return code, out.String(), errs.String()
}

func TestUsageErrors(t *testing.T) {
	tests := []struct {
		args string
		want []string // in what is printed on stderr
	}{
		{"", []string{"Usage:", "Commands:"}},
		{"fetch", []string{`no command "fetch"`, "The commands are demo, "}},
		{"gte", []string{`no command "gte"`, "Did you mean get? The commands are demo, "}},
		{"get --stroe memory http://a", []string{"not defined: --stroe", "Did you mean --store? See 'cachecontrol help get'."}},
		{"get --helpp", []string{"not defined: --helpp", "Did you mean --help?"}},
		{"get 127.0.0.1:1/x", []string{"has no scheme", "For example: http://127.0.0.1:1/x\n"}},
		{"get [::1]:1/x", []string{"has no scheme", "For example: http://[::1]:1/x\n"}},
		{"get user:pass@h/x", []string{"has no scheme", "For example: https://xxxxx@h/x\n"}},
		{"help fetch", []string{`no help on "fetch"`, "'cachecontrol help' lists"}},
		{"help get now", []string{`unexpected argument "now"`, "one command"}},
		{"version now", []string{`unexpected argument "now"`, "takes no arguments"}},
		{"proxy", []string{"--upstream is missing", "For example: --upstream http://"}},
		{"proxy --upstream localhost:3000", []string{"does not begin with http://, https:// or h2c://", "For example: "}},
		{"proxy --upstream http://", []string{"has no host", "For example: "}},
		{"proxy --upstream http://a/?q", []string{"more than a scheme, a host and a path", "For example: "}},
		{"proxy --upstream http://a%zz", []string{"is not a URL", "For example: "}},
		{"proxy --upstream http://a b", []string{`unexpected argument "b"`, "--upstream"}},
		{"proxy --upstream http://a --stale-if-error -1s", []string{"for flag --stale-if-error: must be a time above zero, such as 90s, 12h, 30d or 2w", "help proxy"}},
		{"proxy --upstream http://a --max-bytes 1M --store redis://a", []string{"--max-bytes does not limit", "the server itself"}},
		{"proxy --upstream http://a --max-age 1d", []string{"--max-age is for a directory", "--store separate:DIR"}},
		{"proxy --upstream http://a --max-age 1d --store memcached://a", []string{"--max-age is for a directory", "--store separate:DIR"}},
		{"proxy --upstream http://a --refresh-ahead 0", []string{"for flag --refresh-ahead: must be a time above zero", "help proxy"}},
		{"proxy --upstream http://a --grace 0", []string{"for flag --grace: must be a time above zero", "help proxy"}},
		{"proxy --upstream http://a --max-body none", []string{"number of bytes", "help proxy"}},
		{"proxy --upstream http://a --max-body 0", []string{"above zero", "help proxy"}},
		{"proxy --upstream http://a --max-body 9999999999G", []string{"number of bytes", "help proxy"}},
		{"proxy --upstream http://a --store disk", []string{"no such store", "it must be memory, file:DIR, separate:DIR, redis:"}},
		{"proxy --upstream http://a --store file:", []string{"directory is missing", "it must be memory, file:DIR, separate:DIR, redis:"}},
		{"proxy --upstream http://a --store memory:10", []string{"memory takes no directory", "it must be memory"}},
		{"proxy --upstream http://a --heuristic guess", []string{"no such heuristic", "last-modified, one-day, expires-after="}},
		{"proxy --upstream http://a --heuristic expires-after", []string{"duration is missing", "expires-after=24h"}},
		{"proxy --upstream http://a --heuristic expires-after=soon", []string{"must be a duration", "expires-after=24h"}},
		{"proxy --upstream http://a --heuristic expires-after=-1h", []string{"above zero", "expires-after=24h"}},
		{"get", []string{"no URL is given", "For example: cachecontrol get https://"}},
		{"get example.com", []string{"has no scheme", "For example: https://example.com\n"}},
		{"get localhost:80/x", []string{"has no scheme", "For example: https://localhost:80/x\n"}},
		{"get ftp://example.com/", []string{"not an http or https URL", "For example: "}},
		{"get http:///x", []string{"not an http or https URL", "For example: "}},
		{"get http://a http://%zz", []string{"not an http or https URL", "For example: "}},
		{"get http://a/\u00a0b\x01", []string{"white space", "%20"}},
		{"demo now", []string{`unexpected argument "now"`, "takes no arguments"}},
		{"explain", []string{"no URL is given", "For example: cachecontrol explain https://"}},
		{"explain http://a http://b", []string{"2 URLs are given", "one at a time"}},
		{"explain example.com", []string{"has no scheme", "For example: https://example.com\n"}},
		{"explain --method G/T http://a", []string{"is not a method", "For example: GET"}},
		{"explain --method= http://a", []string{"is not a method", "For example: GET"}},
		{"explain --heuristic x http://a", []string{"no such heuristic", "help explain"}},
		{"explain -H cache-control:only-if-cached http://a", []string{"with only-if-cached", "Omit it"}},
		{"get -o x http://a http://b", []string{"-o is for one URL, but 2 are given", "one at a time"}},
		{"get -H Name http://a", []string{"must be a header field such as 'Name: value'", "help get"}},
		{"get -H a@b:c http://a", []string{"must be a header field such as 'Name: value'", "help get"}},
		{"get -H a:b\x00 http://a", []string{"control characters", "help get"}},
		{"get http://a -o", []string{"needs an argument", "help get"}},
		{"get -- -o http://a", []string{`"-o"`, "For example: "}},
		{"completion", []string{"the shell is missing", "For example: cachecontrol completion bash"}},
		{"completion csh", []string{`no completion for "csh"`, "bash, zsh and fish"}},
		{"completion bash zsh", []string{`unexpected argument "zsh"`, "one shell"}},
		{"serve", []string{"DIR is missing", "For example: cachecontrol serve ."}},
		{"serve a b", []string{`unexpected argument "b"`, "one directory"}},
		{"serve --max-age soon .", []string{"must be a duration", "help serve"}},
		{"serve --max-age -1d .", []string{"for flag --max-age: must be a duration", "help serve"}},
		{"serve --max-age -1h .", []string{"must be a duration", "help serve"}},
		{"ls a b", []string{`unexpected argument "b"`, "one directory"}},
		{"ls --fresh --stale a", []string{"--fresh and --stale exclude each other", "Omit one"}},
		{"ls --sort none --reverse a", []string{"no order to reverse", "Omit --reverse"}},
		{"ls --sort name a", []string{"must be url, size, age, left, status or none", "help ls"}},
		{"ls --status 40 a", []string{"must be a list of statuses, such as 404", "help ls"}},
		{"ls --status 4xx,x a", []string{"must be a list of statuses, such as 404", "help ls"}},
		{"ls --match ( a", []string{"must be a regular expression", "help ls"}},
		{"ls --older-than yesterday a", []string{"must be a time above zero, such as 90s, 12h, 30d or 2w", "help ls"}},
		{"ls --older-than -1d a", []string{"must be a time above zero", "help ls"}},
		{"ls file:", []string{`the directory after "file:" is missing`, "Write it as file:DIR"}},
		{"show", []string{"a URL or a hash is missing", "For example: cachecontrol show https://"}},
		{"show a", []string{"a URL or a hash is missing", "For example: cachecontrol show https://"}},
		{"show a b c", []string{`unexpected argument "c"`, "one entry"}},
		{"show --body --json a b", []string{"--body and --json exclude each other", "Omit one"}},
		{"ls redis://localhost", []string{"is not a directory", "Write it as DIR"}},
		{"rm", []string{"a URL is missing", "For example: cachecontrol rm https://"}},
		{"rm a", []string{"a URL is missing", "For example: cachecontrol rm https://"}},
		{"clear a b", []string{`unexpected argument "b"`, "one directory"}},
		{"rm a example.com", []string{"has no scheme", "--hash"}},
		{"rm a ftp://example.com", []string{"not an http or https URL", "For example: "}},
		{"prune a", []string{"no limit is given", "--max-bytes 500M"}},
		{"prune --max-age 1d a b", []string{`unexpected argument "b"`, "one directory"}},
		{"prune --max-bytes 0 a", []string{"number of bytes above zero", "help prune"}},
		{"verify a b", []string{`unexpected argument "b"`, "one directory"}},
		{"stats a b", []string{`unexpected argument "b"`, "one directory"}},
		{"stats --top -1 a", []string{"for flag --top: must be a number of lines", "help stats"}},
		{"stats --top x a", []string{"for flag --top: must be a number of lines", "help stats"}},
		{"proxy --nosuch", []string{"not defined: --nosuch", "See 'cachecontrol help proxy'."}},
		{"get -z", []string{"not defined: -z\n", "See 'cachecontrol help get'."}},
	}
	for _, test := range tests {
		t.Run(test.args, func(t *testing.T) {
			code, stdout, stderr := call(t, strings.Fields(test.args)...)
			if code != exitUsage {
				t.Errorf("exit code %d, want %d", code, exitUsage)
			}
			if stdout != "" {
				t.Errorf("stdout is %q, want nothing", stdout)
			}
			for _, want := range test.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("stderr is %q, want %q in it", stderr, want)
				}
			}
		})
	}
}

func TestHelp(t *testing.T) {
	for _, args := range [][]string{{"help"}, {"-h"}, {"--help"}} {
		code, stdout, stderr := call(t, args...)
		if code != exitOK || stderr != "" {
			t.Errorf("%v: exit code %d, stderr %q", args, code, stderr)
		}
		for _, c := range commands() {
			if !strings.Contains(stdout, "\n    "+c.name+" ") && !strings.Contains(stdout, "\n    "+c.name+"\n") {
				t.Errorf("%v does not name the command %s", args, c.name)
			}
		}
	}
}
