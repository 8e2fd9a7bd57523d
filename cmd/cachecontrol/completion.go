package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"regexp"
	"strings"
)

func completionCommand(*flag.FlagSet) runFunc {
	return func(_ context.Context, e *env, args []string) error {
		if len(args) > 1 {
			return usageErrorf("unexpected argument %q", args[1], "Name one shell at a time.")
		}
		var script string
		switch strings.Join(args, "") {
		case "bash":
			script = bashCompletion()
		case "zsh":
			script = zshCompletion()
		case "fish":
			script = fishCompletion()
		case "":
			return usageErrorf("the shell is missing", "For example: cachecontrol completion bash")
		default:
			return usageErrorf("there is no completion for %q", args[0], "The shells are bash, zsh and fish.")
		}
		return e.print(script)
	}
}

// completable is a word that a shell can complete, with what it means.
type completable struct{ word, text string }

var (
	helpedCommand = regexp.MustCompile(`(?m)^    ([a-z]+)\s+(\S.*)$`)
	helpedFlag    = regexp.MustCompile(`(?m)^    (--?[A-Za-z-]+)(?: (?:'[^']*'|[A-Z:]+))?\s+(\S.*)$`)
)

// completableCommands returns the commands, as their help describes them.
func completableCommands() (list []completable) {
	text, _ := helpTexts.ReadFile("help/help.txt")
	_, section, _ := strings.Cut(string(text), "\nCommands:\n")
	section, _, _ = strings.Cut(section, "\n\n")
	for _, m := range helpedCommand.FindAllStringSubmatch(section, -1) {
		list = append(list, completable{m[1], m[2]})
	}
	return list
}

// completableFlags returns the flags of a command, as its help describes them.
func completableFlags(command string) (list []completable) {
	text, err := helpTexts.ReadFile("help/" + command + ".txt")
	if err != nil {
		return nil
	}
	_, section, _ := strings.Cut(string(text), "\nFlags:\n")
	section, _, _ = strings.Cut(section, "\n\n")
	for _, m := range helpedFlag.FindAllStringSubmatch(section, -1) {
		list = append(list, completable{m[1], strings.TrimRight(m[2], ",;:")})
	}
	return append(list, completable{"--help", "print the help on the command"})
}

// words returns the words of a list, separated by spaces.
func words(list []completable) string {
	var b strings.Builder
	for i, c := range list {
		if i > 0 {
			b.WriteString(" ")
		}
		b.WriteString(c.word)
	}
	return b.String()
}

// argumentsOf returns the words that a command takes as arguments, or "" if these are files and URLs.
func argumentsOf(command string) string {
	switch command {
	case "help":
		return words(completableCommands()) + " directory store"
	case "completion":
		return "bash zsh fish"
	}
	return ""
}

func bashCompletion() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Completion of cachecontrol for bash: source <(cachecontrol completion bash)
_cachecontrol() {
    local cur=${COMP_WORDS[COMP_CWORD]} words=
    if [ "$COMP_CWORD" -eq 1 ]; then
        words=%q
    else
        case "${COMP_WORDS[1]} $cur" in
`, words(completableCommands()))
	for _, c := range completableCommands() {
		fmt.Fprintf(&b, "        %q*) words=%q ;;\n", c.word+" -", words(completableFlags(c.word)))
		if arguments := argumentsOf(c.word); arguments != "" {
			fmt.Fprintf(&b, "        %q*) words=%q ;;\n", c.word+" ", arguments)
		}
	}
	b.WriteString(`        *) COMPREPLY=($(compgen -f -- "$cur")); return ;;
        esac
    fi
    COMPREPLY=($(compgen -W "$words" -- "$cur"))
}
complete -o filenames -F _cachecontrol cachecontrol
`)
	return b.String()
}

func zshCompletion() string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
	describe := func(w io.Writer, indent string, list []completable) {
		for _, c := range list {
			fmt.Fprintf(w, "%s%s\n", indent, quote(c.word+":"+c.text))
		}
	}
	var b strings.Builder
	b.WriteString(`#compdef cachecontrol
# Completion of cachecontrol for zsh: source <(cachecontrol completion zsh)
_cachecontrol() {
    local -a list
    if (( CURRENT == 2 )); then
        list=(
`)
	describe(&b, "            ", completableCommands())
	b.WriteString(`        )
        _describe command list
        return
    fi
    case "${words[2]} ${words[CURRENT]}" in
`)
	for _, c := range completableCommands() {
		fmt.Fprintf(&b, "    %q*)\n        list=(\n", c.word+" -")
		describe(&b, "            ", completableFlags(c.word))
		b.WriteString("        )\n        _describe flag list ;;\n")
		if arguments := argumentsOf(c.word); arguments != "" {
			fmt.Fprintf(&b, "    %q*)\n        compadd -- %s ;;\n", c.word+" ", arguments)
		}
	}
	b.WriteString(`    *)
        _files ;;
    esac
}
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
compdef _cachecontrol cachecontrol
`)
	return b.String()
}

func fishCompletion() string {
	quote := func(s string) string { return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'" }
	var b strings.Builder
	b.WriteString("# Completion of cachecontrol for fish: cachecontrol completion fish | source\n")
	for _, c := range completableCommands() {
		fmt.Fprintf(&b, "complete -c cachecontrol -f -n __fish_use_subcommand -a %s -d %s\n", c.word, quote(c.text))
		for _, f := range completableFlags(c.word) {
			option := "-s " + strings.TrimPrefix(f.word, "-")
			if name, ok := strings.CutPrefix(f.word, "--"); ok {
				option = "-l " + name
			}
			fmt.Fprintf(&b, "complete -c cachecontrol -n '__fish_seen_subcommand_from %s' %s -d %s\n", c.word, option, quote(f.text))
		}
		if arguments := argumentsOf(c.word); arguments != "" {
			fmt.Fprintf(&b, "complete -c cachecontrol -f -n '__fish_seen_subcommand_from %s' -a %s\n", c.word, quote(arguments))
		}
	}
	return b.String()
}
