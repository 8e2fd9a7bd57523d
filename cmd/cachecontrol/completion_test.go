package main

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-cachecontrol/cachecontrol/internal/peer"
)

// Every command and flag is completed, with what it means.
func TestCompletable(t *testing.T) {
	list := completableCommands()
	for _, c := range commands() {
		if !slices.ContainsFunc(list, func(w completable) bool { return w.word == c.name && w.text != "" }) {
			t.Errorf("the command %s is not completed", c.name)
		}
		fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
		c.setup(fs)
		flags := completableFlags(c.name)
		fs.VisitAll(func(f *flag.Flag) {
			if !slices.ContainsFunc(flags, func(w completable) bool { return strings.TrimLeft(w.word, "-") == f.Name && w.text != "" }) {
				t.Errorf("the flag %s of %s is not completed", f.Name, c.name)
			}
		})
	}
}

// The shells complete words as the scripts say.
func TestCompletion(t *testing.T) {
	const inBash = `source "$1"; COMP_WORDS=(cachecontrol $2); COMP_CWORD=$3; _cachecontrol; printf '%s\n' "${COMPREPLY[@]}"`
	const inZsh = `
		compdef() { :; }
		_describe() { local name=$2; print -l -- ${${(P)name}%%:*} }
		compadd() { shift; print -l -- $@ }
		_files() { print files }
		source $1; words=(cachecontrol ${=2}); CURRENT=$(( $3 + 1 )); [[ $CURRENT -le $#words ]] || words+=(''); _cachecontrol`
	const inFish = `source $argv[1]; complete -C "cachecontrol $argv[2]" | string replace -r '\t.*' ''; true`
	for shell, program := range map[string]string{"bash": inBash, "zsh": inZsh, "fish": inFish} {
		t.Run(shell, func(t *testing.T) {
			peer.Program(t, "apt-get install "+shell, shell)
			code, script, stderr := call(t, "completion", shell)
			if code != exitOK || stderr != "" {
				t.Fatalf("exit code %d, stderr %q", code, stderr)
			}
			file := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			for _, test := range []struct{ line, position, want string }{
				{"ex", "1", "explain"}, {"get --sto", "2", "--store"}, {"get -", "2", "-o"}, {"completion ", "2", "zsh"}, {"help pr", "2", "prune"},
			} {
				args := []string{"-c", program, shell, file, test.line, test.position}
				if shell == "fish" {
					args = []string{"-c", program, file, test.line}
				}
				out, err := exec.CommandContext(t.Context(), shell, args...).CombinedOutput()
				if err != nil || !slices.Contains(strings.Fields(string(out)), test.want) {
					t.Errorf("%q completes to %q, %v, want %s among them", test.line, out, err, test.want)
				}
			}
		})
	}
}
