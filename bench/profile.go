package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// profiledEntries is the number of functions of a profile that are shown.
const profiledEntries = 25

// measureProfile profiles a hit in memory.
func measureProfile(ctx context.Context, command string) (blocks, error) {
	dir, err := os.MkdirTemp("", "cachecontrol-bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	l, err := openHit(memory, dir, 1<<10)
	if err != nil {
		return nil, err
	}
	defer l.close()
	if err := l.verify(); err != nil {
		return nil, err
	}
	name := filepath.Join(dir, "cpu.out")
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	n := 0
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end) && ctx.Err() == nil; {
		for range 1000 {
			if err := l.do(); err != nil {
				pprof.StopCPUProfile()
				return nil, err
			}
			n++
		}
	}
	pprof.StopCPUProfile()
	text, err := topOf(ctx, name, `Transport.\.RoundTrip$`)
	if err != nil {
		return nil, err
	}
	return blocks{{"profile", measuredBy(command) + " " + strconv.Itoa(n) + " hits.\n\n" + text}}, nil
}

// topOf returns the functions with the most time in a CPU profile, including the functions that they call. If focus
// is not empty, it counts only the time in functions that match it.
func topOf(ctx context.Context, profile, focus string) (string, error) {
	args := []string{"tool", "pprof", "-top", "-cum", "-nodecount=" + strconv.Itoa(profiledEntries)}
	if focus != "" {
		args = append(args, "-show_from="+focus, "-relative_percentages")
	}
	out, err := exec.CommandContext(ctx, "go", append(args, profile)...).Output()
	if err != nil {
		return "", fmt.Errorf("go tool pprof: %w", err)
	}
	i := strings.Index(string(out), "      flat")
	if i < 0 {
		return "", errors.New("go tool pprof shows nothing")
	}
	return "```\n" + strings.TrimRight(strings.ReplaceAll(string(out[i:]), "github.com/go-cachecontrol/cachecontrol", "cachecontrol"), "\n") + "\n```\n", nil
}

// profiler is source code that is added to the command to profile its proxy. The command has no flag for that.
const profiler = `package main

import (
	"os"
	"runtime/pprof"
	"time"
)

func init() {
	f, err := os.Create(os.Getenv("CACHECONTROL_BENCH_PROFILE"))
	if err != nil {
		panic(err)
	}
	time.AfterFunc(time.Second, func() {
		if err := pprof.StartCPUProfile(f); err != nil {
			panic(err)
		}
		time.Sleep(3 * time.Second)
		pprof.StopCPUProfile()
		f.Close()
		os.Rename(f.Name(), f.Name()+".done")
	})
}
`

// profileProxy profiles a hit of the command's proxy.
func profileProxy(ctx context.Context, dir string, o *pageServer) (string, error) {
	added, err := filepath.Abs(filepath.Join("..", "cmd", "cachecontrol", "benchprofile.go"))
	if err != nil {
		return "", err
	}
	source, overlay := filepath.Join(dir, "profile.go"), filepath.Join(dir, "overlay.json")
	replace, err := json.Marshal(map[string]any{"Replace": map[string]string{added: source}})
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.WriteFile(source, []byte(profiler), 0o600), os.WriteFile(overlay, replace, 0o600)); err != nil {
		return "", err
	}
	exe, err := buildProxy(ctx, dir, overlay)
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, "cpu.out")
	s, err := startOurs(ctx, "proxy, profiled", exe, o.URL, "memory", "CACHECONTROL_BENCH_PROFILE="+name)
	if err != nil {
		return "", err
	}
	defer s.stop()
	if err := o.expectHit(s.url + proxyPages[0]); err != nil {
		return "", err
	}
	if _, _, err := runWrk(ctx, s, proxyPages[0], 5); err != nil {
		return "", err
	}
	return topOf(ctx, name+".done", "")
}
