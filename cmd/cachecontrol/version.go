package main

import (
	"context"
	"flag"
	"runtime"
	"runtime/debug"
	"strings"
)

func versionCommand(*flag.FlagSet) runFunc {
	return func(_ context.Context, e *env, args []string) error {
		if err := noArguments(args); err != nil {
			return err
		}
		return e.print(version() + "\n")
	}
}

func version() string {
	v, details := "(unknown)", []string{runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			v = info.Main.Version
		}
		set := map[string]string{}
		for _, s := range info.Settings {
			set[s.Key] = s.Value
		}
		if rev := set["vcs.revision"]; rev != "" {
			if set["vcs.modified"] == "true" {
				rev += ", modified"
			}
			details = append(details, rev)
		}
	}
	return "cachecontrol " + v + " (" + strings.Join(details, ", ") + ")"
}
