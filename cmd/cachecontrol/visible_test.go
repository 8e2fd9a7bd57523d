//go:build unix

package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// TestServeOnlyVisibleFiles covers all paths to files that are not served: names with a dot and everything below them;
// links of each kind that lead there or out of the directory, directly, through other links, and as a part of the path;
// and pipes, which would block a thread. Each has the status of the response and whether it is listed.
func TestServeOnlyVisibleFiles(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"outside/file", "www/file", "www/d/inner", "www/.env", "www/.git/config", "www/.git/d/x", "www/d/.hidden", "www/...", "www/..x",
		"www/sub/index.html/x",
	} {
		must(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755))
		must(os.WriteFile(filepath.Join(dir, name), []byte("content of "+name), 0o644))
	}
	for name, target := range map[string]string{
		"to-file":           "file",
		"to-dir":            "d",
		"to-link":           "to-file",
		"d/up":              "../file",
		"round":             "d/../to-dir/inner",
		"with-slash":        "d/",
		"to-env":            ".env",
		"to-env-2":          "to-env",
		"to-git":            ".git",
		"to-git-file":       ".git/config",
		"through-git":       ".git/../file",
		"to-hidden":         "to-dir/.hidden",
		"out":               "../outside/file",
		"out-dir":           "../outside",
		"out-and-in":        "../www/file",
		"absolute":          filepath.Join(dir, "outside/file"),
		"absolute-within":   filepath.Join(dir, "www/file"),
		"nowhere":           "none",
		"loop":              "loop",
		"loop-a":            "loop-b",
		"loop-b":            "loop-a",
		"to-pipe":           "pipe",
		"to-device":         "/dev/null",
		"beyond-file":       "file/x",
		"d/to-parent":       "..",
		"d/to-parent-twice": "../..",
	} {
		must(os.Symlink(target, filepath.Join(dir, "www", name)))
	}
	must(syscall.Mkfifo(filepath.Join(dir, "www", "pipe"), 0o644))
	must(os.Mkdir(filepath.Join(dir, "www", "p"), 0o755))
	must(syscall.Mkfifo(filepath.Join(dir, "www", "p", "index.html"), 0o644))
	cwd, err := os.Getwd()
	must(err)
	must(os.Chdir(filepath.Join(dir, "www"))) // the name of a socket is short
	socket, err := net.Listen("unix", "socket")
	must(os.Chdir(cwd))
	must(err)
	defer socket.Close()

	url := startServe(t, filepath.Join(dir, "www"))
	for path, want := range map[string]struct {
		status int
		body   string
	}{
		"/file":              {200, "content of www/file"},
		"/to-file":           {200, "content of www/file"},
		"/to-link":           {200, "content of www/file"},
		"/d/up":              {200, "content of www/file"},
		"/to-dir/inner":      {200, "content of www/d/inner"},
		"/to-dir/up":         {200, "content of www/file"},
		"/with-slash/inner":  {200, "content of www/d/inner"},
		"/round":             {200, "content of www/d/inner"},
		"/d/to-parent/file":  {200, "content of www/file"},
		"/.env":              {404, ""},
		"/%2eenv":            {404, ""},
		"/d/.hidden":         {404, ""},
		"/to-dir/.hidden":    {404, ""},
		"/...":               {404, ""},
		"/..x":               {404, ""},
		"/.git/":             {404, ""},
		"/.git/config":       {404, ""},
		"/d/to-parent/.env":  {404, ""},
		"/to-env":            {404, ""},
		"/to-env-2":          {404, ""},
		"/to-git/":           {404, ""},
		"/to-git/config":     {404, ""},
		"/to-git/d/x":        {404, ""},
		"/to-git-file":       {404, ""},
		"/through-git":       {404, ""},
		"/to-hidden":         {404, ""},
		"/out":               {404, ""},
		"/out-dir/":          {404, ""},
		"/out-dir/file":      {404, ""},
		"/out-and-in":        {404, ""},
		"/absolute":          {404, ""},
		"/absolute-within":   {404, ""},
		"/nowhere":           {404, ""},
		"/loop":              {404, ""},
		"/loop-a":            {404, ""},
		"/pipe":              {404, ""},
		"/to-pipe":           {404, ""},
		"/to-device":         {404, ""},
		"/socket":            {404, ""},
		"/beyond-file":       {404, ""},
		"/file/x":            {404, ""},
		"/d/to-parent-twice": {404, ""},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			resp, body := do(t, method, url+path)
			if resp.StatusCode != want.status || want.status == 200 && method == "GET" && body != want.body || strings.Contains(body, "outside") {
				t.Errorf("%s %s: status %d, body %q, want %d, %q", method, path, resp.StatusCode, body, want.status, want.body)
			}
		}
	}
	for path, want := range map[string][]string{
		"/":             {"d/", "file", "p/", "round", "sub/", "to-dir", "to-file", "to-link", "with-slash"},
		"/d/":           {"inner", "to-parent", "up"},
		"/to-dir/":      {"inner", "to-parent", "up"},
		"/p/":           nil, // its index is a pipe
		"/d/to-parent/": {"d/", "file", "p/", "round", "sub/", "to-dir", "to-file", "to-link", "with-slash"},
	} {
		_, body := do(t, "GET", url+path)
		var got []string
		for line := range strings.Lines(body) {
			if _, rest, ok := strings.Cut(line, `<a href="`); ok {
				name, _, _ := strings.Cut(rest, `"`)
				got = append(got, name)
			}
		}
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Errorf("%s lists %q, want %q", path, got, want)
		}
	}
}

// TestVisibleMeetsChanges covers files that are replaced by a pipe or a link while they are opened.
func TestVisibleMeetsChanges(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"file": "visible", ".secret": "secret"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() { // exchanges the file until the test is over
		defer close(ended)
		at := func(name string) string { return filepath.Join(dir, name) }
		for {
			select {
			case <-stop:
				return
			default:
			}
			os.Symlink(".secret", at(".link"))
			os.Rename(at(".link"), at("file"))
			syscall.Mkfifo(at(".pipe"), 0o644)
			os.Rename(at(".pipe"), at("file"))
			os.WriteFile(at(".new"), []byte("visible"), 0o644)
			os.Rename(at(".new"), at("file"))
		}
	}()
	opened := 0
	for i := 0; i < 3000 || opened == 0 && i < 1_000_000; i++ { // on a busy machine the file may be away for long
		f, err := visible{root}.Open("file")
		if err != nil {
			continue
		}
		b := make([]byte, 7)
		n, _ := f.Read(b)
		f.Close()
		if opened++; string(b[:n]) != "visible" {
			t.Fatalf("read %q, want %q", b[:n], "visible")
		}
	}
	close(stop)
	<-ended
	if opened == 0 {
		t.Error("the file was never opened")
	}
}
