package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
	"github.com/go-cachecontrol/cachecontrol/internal/subprocess"
)

// childEnv is the environment variable that makes this program run as a child process. Its value is a child as JSON.
const childEnv = "CACHECONTROL_FAULTS_CHILD"

// child describes the work of a child process.
type child struct {
	Layout, Dir, URL string
	Keys, Reads      int
	Renew            float64
	MaxBytes         int64
	Forever          bool  // run until killed
	Full             bool  // the disk is full for half of the time
	Herd             int   // if not zero, the number of requests of a member of a herd
	Sparse           bool  // the requests are for ranges of a long file
	Size             int64 // if not zero, the size of a file to download
	Leaves           bool  // it leaves downloads
}

// command returns a command that runs the child.
func (c child) command(ctx context.Context) (*exec.Cmd, error) {
	return subprocess.Self(ctx, childEnv, c)
}

//go:embed storm.py
var stormPy string

// pythonCommand returns a command that does the work of the child in Python.
func (c child) pythonCommand(ctx context.Context) (*exec.Cmd, error) {
	python, err := peer.FindPython(ctx, "cachecontrol", "requests", "filelock", "msgpack")
	if err != nil {
		return nil, err
	}
	role, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, python, "-c", stormPy, string(role))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	return cmd, nil
}

// output runs the child and returns its tally.
func (c child) output(ctx context.Context) (t tally, err error) {
	cmd, err := c.command(ctx)
	if err != nil {
		return t, err
	}
	out, err := cmd.Output()
	if err != nil {
		return t, fmt.Errorf("a child: %w", err)
	}
	return t, json.Unmarshal(out, &t)
}

// peakMemory returns the peak of the resident memory of a process in bytes, or 0 if the system does not have /proc. The peak that
// wait4 returns is not used, because it includes the memory of the parent.
func peakMemory(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(text), "VmHWM:")
	n, _, _ := strings.Cut(rest, "kB")
	kib, _ := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
	return kib << 10
}
