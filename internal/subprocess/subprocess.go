// Package subprocess starts other processes, most of them of the program that is running. It is for tests.
package subprocess

import (
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
)

// Self returns a command that runs this program, with role as JSON in an environment variable. The process is killed when
// ctx ends.
func Self(ctx context.Context, variable string, role any) (*exec.Cmd, error) {
	exe, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(role)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, exe)
	cmd.Env = append(os.Environ(), variable+"="+string(text))
	cmd.Stderr = os.Stderr
	return cmd, nil
}

// Process is a process with pipes to its standard input and from its standard output.
type Process struct {
	*exec.Cmd
	In  io.WriteCloser
	Out io.Reader
}

// Start starts the process of a command.
func Start(cmd *exec.Cmd) (*Process, error) {
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	return &Process{cmd, in, out}, cmd.Start()
}

// Kill kills the process and waits until it has ended.
func (p *Process) Kill() {
	p.Cmd.Process.Kill()
	p.Cmd.Wait()
}
