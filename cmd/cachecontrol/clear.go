package main

import "flag"

func clearCommand(fs *flag.FlagSet) runFunc {
	p := prune{maxBytes: 1} // no entry is that small
	fs.BoolVar(&p.dryRun, "dry-run", false, "")
	fs.BoolVar(&p.json, "json", false, "")
	return p.run
}
