package main

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"
)

// TestProxy makes sure that the proxy that is built has hits, over the stores that are measured.
func TestProxy(t *testing.T) {
	o := newPageServer()
	defer o.Close()
	dir := t.TempDir()
	exe, err := buildProxy(t.Context(), dir, "")
	if err != nil {
		t.Fatal(err)
	}
	for _, store := range []string{"memory", "separate:" + filepath.Join(dir, "cache")} {
		s, err := startOurs(t.Context(), store, exe, o.URL, store)
		if err != nil {
			t.Fatal(err)
		}
		for _, page := range proxyPages {
			if err := o.expectHit(s.url + page); err != nil {
				t.Error(err)
			}
		}
		if err := o.expectHit(s.url + "/none"); err == nil {
			t.Error("a page that is not there is a hit")
		}
		s.stop()
	}
}

func TestCPUTime(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("/proc is Linux's")
	}
	before := cpuTime(os.Getpid())
	sum := 0
	for cpuTime(os.Getpid())-before < 20*time.Millisecond {
		for i := range 1_000_000 {
			sum += i
		}
	}
	if cpuTime(1<<30) != 0 {
		t.Error("a process that is not there has used time")
	}
}
