package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
)

// The measurements of -size run in separate processes. The kernel counts the peak memory of a process, and the
// garbage of one measurement would count for the next one.

// childEnv is the environment variable that makes a process such a child. Its value is the job in JSON.
const childEnv = "CACHECONTROL_BENCH_CHILD"

// job describes the work of a child.
type job struct {
	Kind  string // the name of a function in children
	Dir   string // empty, or left by another child
	URL   string // for longBody
	Hit   bool   // for longBody: the requested body is stored
	Sep   bool   // for longBody: the store is a SeparateBodyFileCache, not a FileCache
	Files int    // for manyFiles and scale: how many
	Bytes int64  // for largeDict: the bound
}

// figure is a row of the table of sizes.
type figure struct {
	Name   string
	Values []float64 // one per round
	Unit   string
	Bound  float64 // 0 if there is no limit
}

// children are the jobs by name. The child prints the result, and its parent reads it.
var children = map[string]func(context.Context, job) ([]figure, error){
	"largeDict":   largeDict,
	"longBody":    longBody,
	"manyEntries": manyEntries,
	"manyFiles":   manyFiles,
	"scaleBound":  scaleBound,
	"scaleFill":   scaleFill,
	"scaleHits":   scaleHits,
}

func runChild(ctx context.Context, text string) error {
	var j job
	if err := json.Unmarshal([]byte(text), &j); err != nil {
		return err
	}
	do := children[j.Kind]
	if do == nil {
		return fmt.Errorf("no job is called %q", j.Kind)
	}
	figures, err := do(ctx, j)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(figures)
}

// run does the job in a separate process. It returns the measured values and the peak of the process's resident
// memory in bytes. The kernel counts the peak of the parent too, so the parent must be small.
func (j job) run(ctx context.Context) (figures []figure, peak int64, err error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, 0, err
	}
	text, err := json.Marshal(j)
	if err != nil {
		return nil, 0, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), childEnv+"="+string(text))
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err == nil {
		err = json.Unmarshal(out, &figures)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w", j.Kind, err)
	}
	return figures, peakMemory(cmd.ProcessState), nil
}

// measureSize measures the memory and time that a cache needs for a long body and for many entries, of which files are in files, and the garbage
// collector with a DictCache of large bytes. It works in dir.
func measureSize(ctx context.Context, command, dir string, files int, large int64, progress io.Writer) (blocks, error) {
	var figures []figure
	for _, step := range []struct {
		name string
		do   func(ctx context.Context, dir string) ([]figure, error)
	}{
		{"1 GiB through SeparateBodyFileCache", func(ctx context.Context, dir string) ([]figure, error) {
			return measureLongBody(ctx, dir, true)
		}},
		{"1 GiB through FileCache", func(ctx context.Context, dir string) ([]figure, error) {
			return measureLongBody(ctx, dir, false)
		}},
		{"many entries in a DictCache", func(ctx context.Context, dir string) ([]figure, error) {
			figures, _, err := job{Kind: "manyEntries"}.run(ctx)
			return figures, err
		}},
		{"a large DictCache", func(ctx context.Context, dir string) ([]figure, error) {
			figures, _, err := job{Kind: "largeDict", Bytes: large}.run(ctx)
			return figures, err
		}},
		{"many files in a FileCache", func(ctx context.Context, dir string) ([]figure, error) {
			figures, peak, err := job{Kind: "manyFiles", Dir: dir, Files: files}.run(ctx)
			return append(figures, figure{
				Name: fmt.Sprintf("FileCache, %d thousand files: peak memory", files/1000), Values: []float64{float64(peak) / (1 << 20)}, Unit: "MiB",
			}), err
		}},
	} {
		fmt.Fprintln(progress, step.name)
		sub := filepath.Join(dir, "step")
		if err := os.RemoveAll(sub); err != nil { // of the previous measurement; it fills the disk
			return nil, err
		}
		if err := os.Mkdir(sub, 0o700); err != nil {
			return nil, err
		}
		got, err := step.do(ctx, sub)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", step.name, err)
		}
		figures = append(figures, got...)
	}
	return blocks{{"size", measuredBy(command) + "\n\n" + sizeTable(figures).String()}}, nil
}

func sizeTable(figures []figure) table {
	t := table{{"what", "reached", "least", "greatest", "unit", "limit", "met"}}
	for _, f := range figures {
		s := newSpread(f.Values)
		row := []string{f.Name, "**" + significant(s.median) + "**", significant(s.least), significant(s.greatest), f.Unit, "", ""}
		if f.Bound > 0 {
			row[5], row[6] = bound(false, significant(f.Bound)), yesNo(s.median <= f.Bound)
		}
		t = append(t, row)
	}
	return t
}

var errBroken = errors.New("the body is not what the origin sent")
