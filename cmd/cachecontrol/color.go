package main

import (
	"errors"
	"io"
	"os"
	"runtime"

	"github.com/go-cachecontrol/cachecontrol"
)

// colorFlag is the value of --color.
type colorFlag string

// parse sets c to a flag's value.
func (c *colorFlag) parse(value string) error {
	switch value {
	case "auto", "always", "never":
		*c = colorFlag(value)
		return nil
	}
	return errors.New("must be auto, always or never")
}

// painter returns how text for w is colored. By default it is colored on a terminal, unless the environment has NO_COLOR
// (https://no-color.org).
func (c colorFlag) painter(w io.Writer) painter {
	switch c {
	case "always":
		return true
	case "never":
		return false
	}
	// Older consoles of Windows print escape sequences as text.
	plain := os.Getenv("TERM") == "dumb" || runtime.GOOS == "windows" && os.Getenv("WT_SESSION") == ""
	return painter(os.Getenv("NO_COLOR") == "" && !plain && isTerminal(w))
}

// A color is the number of a color or a style in an escape sequence.
type color string

const (
	bold   color = "1"
	dim    color = "2"
	red    color = "31"
	green  color = "32"
	yellow color = "33"
	cyan   color = "36"
)

// painter colors text if it is true.
type painter bool

func (p painter) paint(c color, text string) string {
	if !p || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}

// outcomeColor returns the color of an outcome: green if the origin was not asked, yellow if it sent a whole response.
func outcomeColor(o cachecontrol.Outcome) color {
	switch o {
	case cachecontrol.Hit:
		return green
	case cachecontrol.Revalidated:
		return cyan
	case cachecontrol.Stale:
		return red
	}
	return yellow
}
