package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/term"
)

const (
	progressDelay = 500 * time.Millisecond // a body that is there by then needs no bar
	progressEvery = 200 * time.Millisecond
)

// progress draws how much of a body has come. The nil pointer draws nothing.
type progress struct {
	w     io.Writer
	width func() int
	total int64 // -1: not known
	count atomic.Int64
	quit  chan struct{}
	ended sync.WaitGroup
}

// startProgress starts a progress bar for a body that goes to out: on stderr, if that is a terminal and the body does
// not go to one.
func startProgress(e *env, out io.Writer, total int64) *progress {
	f, ok := e.stderr.(*os.File)
	if !ok || !isTerminal(f) || isTerminal(out) {
		return nil
	}
	p := &progress{w: f, total: total, quit: make(chan struct{})}
	p.width = func() int {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
		return 80
	}
	p.ended.Go(func() {
		ticks := time.NewTicker(progressEvery)
		defer ticks.Stop()
		p.draw(time.Now(), ticks.C)
	})
	return p
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// draw draws the bar at every tick until quit is closed, and then clears it.
func (p *progress) draw(start time.Time, ticks <-chan time.Time) {
	var shown int
	var r rate
	defer func() {
		if shown > 0 {
			fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", shown))
		}
	}()
	for {
		select {
		case <-p.quit:
			return
		case now := <-ticks:
			count := p.count.Load()
			perSecond := r.update(count, now.Sub(start))
			if now.Sub(start) < progressDelay {
				continue
			}
			// Not the last column: some terminals would begin a new line.
			line := progressLine(count, p.total, perSecond, p.width()-1)
			fmt.Fprintf(p.w, "\r%-*s", shown, line)
			shown = len(line)
		}
	}
}

// add counts n more bytes.
func (p *progress) add(n int) {
	if p != nil {
		p.count.Add(int64(n))
	}
}

// stop clears the bar.
func (p *progress) stop() {
	if p != nil {
		close(p.quit)
		p.ended.Wait()
	}
}

// rate smooths the rate at which bytes come.
type rate struct {
	count     int64
	at        time.Duration
	perSecond float64
	known     bool
}

// update returns the rate, given how many bytes have come at a time since the start.
func (r *rate) update(count int64, at time.Duration) float64 {
	if at <= r.at {
		return r.perSecond
	}
	elapsed := (at - r.at).Seconds()
	now := float64(count-r.count) / elapsed
	if r.known {
		old := math.Exp(-elapsed / 3) // what was measured 3 seconds ago counts for a third
		now = old*r.perSecond + (1-old)*now
	}
	r.count, r.at, r.perSecond, r.known = count, at, now, true
	return now
}

// progressLine returns the bar as it fits into width columns: ASCII, one byte a column.
func progressLine(count, total int64, perSecond float64, width int) string {
	speed := size(int64(perSecond)) + "/s"
	if total <= 0 || count > total {
		return cut(fmt.Sprintf("%s  %s", size(count), speed), width)
	}
	left := "?"
	if perSecond >= 1 {
		if s := float64(total-count) / perSecond; s < 100*3600 {
			left = time.Duration(math.Ceil(s) * float64(time.Second)).String()
		}
	}
	percent := fmt.Sprintf("%3d%% ", 100*count/total)
	text := fmt.Sprintf(" %s of %s  %s  %s left", size(count), size(total), speed, left)
	room := min(width-len(percent)-len(text)-2, 40)
	if room < 4 {
		return cut(percent+text[1:], width)
	}
	done := int(int64(room) * count / total)
	return percent + "[" + strings.Repeat("=", done) + strings.Repeat(" ", room-done) + "]" + text
}

func cut(s string, width int) string { return s[:min(len(s), max(width, 0))] }
