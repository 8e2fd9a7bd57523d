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

// progress draws how far something is. The nil pointer draws nothing.
type progress struct {
	w     io.Writer
	width func() int
	line  progressText
	count atomic.Int64
	items atomic.Int64 // what was found so far, where the bar says so
	quit  chan struct{}
	ended sync.WaitGroup

	mu    sync.Mutex // guards what follows, and writing
	shown int        // columns
}

// progressText returns the bar as it fits into width columns: ASCII, one byte a column.
type progressText func(p *progress, perSecond float64, width int) string

// startProgress starts a progress bar for a body that goes to out: on stderr, if that is a terminal and the body does
// not go to one.
func startProgress(e *env, out io.Writer, total int64) *progress {
	if isTerminal(out) {
		return nil
	}
	return newProgress(e, func(p *progress, perSecond float64, width int) string {
		return progressLine(p.count.Load(), total, perSecond, width)
	})
}

// newProgress starts a progress bar on stderr, if that is a terminal.
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

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func terminalWidth(f *os.File) int {
	if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
		return width
	}
	return 80
}

// draw draws the bar at every tick until quit is closed, and then clears it.
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
			// Not the last column: some terminals would begin a new line.
			line := p.line(p, perSecond, p.width()-1)
			p.mu.Lock()
			fmt.Fprintf(p.w, "\r%-*s", p.shown, line)
			p.shown = len(line)
			p.mu.Unlock()
		}
	}
}

// printing clears the bar, and calls print, which may write on the same terminal.
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

// progressLine returns the bar for a body, as it fits into width columns.
func progressLine(count, total int64, perSecond float64, width int) string {
	speed := size(int64(perSecond)) + "/s"
	if total <= 0 || count > total {
		return cut(fmt.Sprintf("%s  %s", size(count), speed), width)
	}
	return barLine(count, total, fmt.Sprintf("%s of %s  %s  %s", size(count), size(total), speed, timeLeft(total-count, perSecond)), width)
}

// barLine returns a bar with text beside it, as it fits into width columns.
func barLine(count, total int64, text string, width int) string {
	percent := fmt.Sprintf("%3d%% ", 100*count/total)
	room := min(width-len(percent)-len(text)-3, 40)
	if room < 4 {
		return cut(percent+text, width)
	}
	return percent + bar(count, total, room) + " " + text
}

// bar draws count of total in room columns and two brackets.
func bar(count, total int64, room int) string {
	done := int(float64(room) * float64(count) / float64(total))
	return "[" + strings.Repeat("=", done) + strings.Repeat(" ", room-done) + "]"
}

// timeLeft says how long the rest will take.
func timeLeft(rest int64, perSecond float64) string {
	if perSecond >= 1 {
		if s := float64(rest) / perSecond; s < 100*3600 {
			return time.Duration(math.Ceil(s)*float64(time.Second)).String() + " left"
		}
	}
	return "? left"
}

func cut(s string, width int) string { return s[:min(len(s), max(width, 0))] }
