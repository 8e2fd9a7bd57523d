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
)

const (
	progressDelay = 500 * time.Millisecond // no bar is drawn before
	progressEvery = 200 * time.Millisecond
)

// progress draws a progress bar. A nil *progress draws nothing.
type progress struct {
	w     io.Writer
	width func() int
	line  progressText
	count atomic.Int64
	items atomic.Int64 // the number of items found, for bars that show it
	quit  chan struct{}
	ended sync.WaitGroup

	mu    sync.Mutex // guards shown and writes to w
	shown int        // columns of the bar on the terminal
}

// progressText returns a bar of at most width columns, in ASCII, so that a column is a byte.
type progressText func(p *progress, perSecond float64, width int) string

// startProgress starts a progress bar on stderr for a body that is written to out. It returns nil if stderr is not a
// terminal or out is one. resumed is whether a part of the body was stored.
func startProgress(e *env, out io.Writer, total int64, resumed bool) *progress {
	if isTerminal(out) {
		return nil
	}
	return newProgress(e, func(p *progress, perSecond float64, width int) string {
		return progressLine(p.count.Load(), total, perSecond, resumed, width)
	})
}

// newProgress starts a progress bar on stderr. It returns nil if stderr is not a terminal.
func newProgress(e *env, line progressText) *progress {
	f, ok := e.stderr.(*os.File)
	if !ok || !isTerminal(f) {
		return nil
	}
	p := &progress{w: f, line: line, width: func() int { return terminalWidth(f) }, quit: make(chan struct{})}
	p.ended.Go(func() {
		ticks := time.NewTicker(progressEvery)
		defer ticks.Stop()
		p.draw(time.Now(), ticks.C)
	})
	return p
}

// draw draws the bar at every tick until quit is closed. It then clears the bar.
func (p *progress) draw(start time.Time, ticks <-chan time.Time) {
	var r rate
	defer p.printing(func() {})
	for {
		select {
		case <-p.quit:
			return
		case now := <-ticks:
			perSecond := r.update(p.count.Load(), now.Sub(start))
			if now.Sub(start) < progressDelay {
				continue
			}
			// The last column stays empty, because some terminals would begin a new line.
			line := p.line(p, perSecond, p.width()-1)
			p.mu.Lock()
			fmt.Fprintf(p.w, "\r%-*s", p.shown, line)
			p.shown = len(line)
			p.mu.Unlock()
		}
	}
}

// printing clears the bar and calls print, which may write to the same terminal.
func (p *progress) printing(print func()) {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.shown > 0 {
			fmt.Fprintf(p.w, "\r%s\r", strings.Repeat(" ", p.shown))
			p.shown = 0
		}
	}
	print()
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

// rate measures a rate and smooths it.
type rate struct {
	count     int64
	at        time.Duration
	perSecond float64
	known     bool
}

// update returns the rate per second, given the count at a time since the start.
func (r *rate) update(count int64, at time.Duration) float64 {
	if at <= r.at {
		return r.perSecond
	}
	elapsed := (at - r.at).Seconds()
	now := float64(count-r.count) / elapsed
	if r.known {
		old := math.Exp(-elapsed / 3) // a rate measured 3 seconds ago has a weight of about a third
		now = old*r.perSecond + (1-old)*now
	}
	r.count, r.at, r.perSecond, r.known = count, at, now, true
	return now
}

// progressLine returns the bar for a body, in at most width columns.
func progressLine(count, total int64, perSecond float64, resumed bool, width int) string {
	speed := formatSize(int64(perSecond)) + "/s"
	if total <= 0 || count > total {
		return cut(fmt.Sprintf("%s  %s", formatSize(count), speed), width)
	}
	note := ""
	if resumed {
		note = ", resumed"
	}
	return barLine(count, total, fmt.Sprintf("%s of %s%s  %s  %s", formatSize(count), formatSize(total), note, speed, timeLeft(total-count, perSecond)), width)
}

// barLine returns a bar with text after it, in at most width columns.
func barLine(count, total int64, text string, width int) string {
	percent := fmt.Sprintf("%3d%% ", 100*count/total)
	room := min(width-len(percent)-len(text)-3, 40)
	if room < 4 {
		return cut(percent+text, width)
	}
	return percent + bar(count, total, room) + " " + text
}

// timeLeft returns an estimate of the time for the rest, as text.
func timeLeft(rest int64, perSecond float64) string {
	if perSecond >= 1 {
		if s := float64(rest) / perSecond; s < 100*3600 {
			return time.Duration(math.Ceil(s)*float64(time.Second)).String() + " left"
		}
	}
	return "? left"
}

func cut(s string, width int) string { return s[:min(len(s), max(width, 0))] }
