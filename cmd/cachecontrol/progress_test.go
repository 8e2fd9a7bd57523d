package main

import (
	"strings"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	const m = 1 << 20
	tests := []struct {
		count, total int64
		rate         float64
		resumed      bool
		width        int
		want         string
	}{
		{25 * m, 100 * m, 5 * m, false, 80, " 25% [=======                       ] 25.0 MiB of 100.0 MiB  5.0 MiB/s  15s left"},
		{0, 100 * m, 0, false, 80, "  0% [                                        ] 0 B of 100.0 MiB  0 B/s  ? left"},
		{100, 100, 100, false, 60, "100% [====================] 100 B of 100 B  100 B/s  0s left"},
		{25 * m, 100 * m, 5 * m, false, 40, " 25% 25.0 MiB of 100.0 MiB  5.0 MiB/s  1"},
		{25 * m, 100 * m, 5 * m, true, 80, " 25% [=====                ] 25.0 MiB of 100.0 MiB, resumed  5.0 MiB/s  15s left"},
		{25 * m, -1, 5 * m, false, 80, "25.0 MiB  5.0 MiB/s"},
		{25 * m, m, 5 * m, false, 80, "25.0 MiB  5.0 MiB/s"}, // more than was announced
		{1, 2, 1, false, 0, ""},
		{1, 2, 1, false, -1, ""},
	}
	for _, test := range tests {
		got := progressLine(test.count, test.total, test.rate, test.resumed, test.width)
		if got != test.want {
			t.Errorf("%d of %d at %g in %d columns:\n got %q\nwant %q", test.count, test.total, test.rate, test.width, got, test.want)
		}
		if len(got) > max(test.width, 0) {
			t.Errorf("%q is wider than %d columns", got, test.width)
		}
	}
}

func TestProgressDraw(t *testing.T) {
	var out buffer
	p := &progress{w: &out, width: func() int { return 60 }, quit: make(chan struct{})}
	p.line = func(p *progress, perSecond float64, width int) string {
		return progressLine(p.count.Load(), 4096, perSecond, false, width)
	}
	ticks, drawn := make(chan time.Time), make(chan bool)
	start := time.Now()
	go func() {
		p.draw(start, ticks)
		drawn <- true
	}()
	p.add(1024)
	ticks <- start.Add(progressDelay / 2) // too early
	ticks <- start.Add(progressDelay)
	ticks <- start.Add(2 * progressDelay)
	close(p.quit)
	<-drawn

	lines := strings.Split(out.String(), "\r")
	if len(lines) != 5 {
		t.Fatalf("wrote %q", lines)
	}
	if !strings.HasPrefix(lines[1], " 25% [") || !strings.HasPrefix(lines[2], " 25% [") {
		t.Errorf("wrote %q", lines)
	}
	if len(lines[3]) < len(lines[1]) || strings.TrimSpace(lines[3]) != "" || lines[4] != "" {
		t.Errorf("does not clear the bar: %q", lines)
	}
}

// The bar does not overwrite what is printed in the meantime.
func TestProgressPrinting(t *testing.T) {
	var out buffer
	p := &progress{w: &out, width: func() int { return 60 }, quit: make(chan struct{})}
	p.line = func(p *progress, perSecond float64, width int) string {
		return scanLine(p.count.Load(), p.items.Load(), perSecond, width)
	}
	ticks, drawn := make(chan time.Time), make(chan bool)
	start := time.Now()
	go func() {
		p.draw(start, ticks)
		drawn <- true
	}()
	p.atHash("8000" + strings.Repeat("0", 52))
	p.atHash("") // a file that is no entry
	ticks <- start.Add(progressDelay)
	ticks <- start.Add(progressDelay / 2) // so that the first is drawn
	p.printing(func() { out.Write([]byte("a line\n")) })
	close(p.quit)
	<-drawn
	lines := strings.Split(out.String(), "\r")
	if len(lines) != 4 || !strings.HasPrefix(lines[1], " 50% [") || !strings.Contains(lines[1], "2 files and entries") ||
		strings.TrimSpace(lines[2]) != "" || lines[3] != "a line\n" {
		t.Errorf("wrote %q", lines)
	}
	(*progress)(nil).atHash("8000")
	(*progress)(nil).printing(func() { out.Write([]byte("x")) })
}

func TestRate(t *testing.T) {
	var r rate
	for i := range 20 {
		if got := r.update(int64(i+1)*100, time.Duration(i+1)*time.Second); got < 99.9 || got > 100.1 {
			t.Errorf("a steady 100 B/s is %g", got)
		}
	}
	if got := r.update(2000, 40*time.Second); got > 1 {
		t.Errorf("after a stall of 20 s: %g", got)
	}
}

func TestFormatSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 5 << 30: "5.0 GiB", 1<<63 - 1: "8.0 EiB",
	} {
		if got := formatSize(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}
