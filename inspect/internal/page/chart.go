package page

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"
)

// The charts are drawn without style attributes, which the Content-Security-Policy forbids. Their texts are numbers and
// words of this package.

const (
	chartWidth  = 720
	chartHeight = 200
	chartLeft   = 66
	chartBottom = 24
	chartTop    = 10
	chartRight  = 44
	plotWidth   = chartWidth - chartLeft - chartRight
	plotHeight  = chartHeight - chartBottom - chartTop
)

// chart is an SVG under construction.
type chart struct{ strings.Builder }

func newChart(title string) *chart {
	c := new(chart)
	fmt.Fprintf(c, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s"><title>%[3]s</title>`, chartWidth, chartHeight, template.HTMLEscapeString(title))
	return c
}

func (c *chart) html() template.HTML { return template.HTML(c.String() + "</svg>") }

func (c *chart) text(class string, x, y float64, text string) {
	fmt.Fprintf(c, `<text class="%s" x="%.1f" y="%.1f">%s</text>`, class, x, y, template.HTMLEscapeString(text))
}

// grid draws a horizontal line with its value.
func (c *chart) grid(y float64, label string) {
	fmt.Fprintf(c, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, chartLeft, chartLeft+plotWidth, y, y)
	c.text("end", chartLeft-6, y+4, label)
}

// times draws the axis of time. The last column ends now.
func (c *chart) times() {
	for _, ago := range []time.Duration{30 * time.Minute, 20 * time.Minute, 10 * time.Minute} {
		c.text("start", columnX(slots-int(ago/slotWidth)), chartHeight-6, fmt.Sprintf("%d min ago", int(ago.Minutes())))
	}
	c.text("end", chartLeft+plotWidth, chartHeight-6, "now")
}

func columnX(i int) float64 { return chartLeft + plotWidth*float64(i)/slots }

// requestsChart draws the requests per second by result, and the share that came from the cache.
func requestsChart(history []slot) template.HTML {
	c := newChart("Requests per second in the last half hour, by outcome, and the hit ratio")
	most := uint64(0)
	for _, s := range history {
		most = max(most, s.counts.total())
	}
	top := niceCeil(float64(most) / slotWidth.Seconds())
	y := func(perSecond float64) float64 { return chartTop + plotHeight*(1-perSecond/top) }
	for _, part := range []float64{0, 0.5, 1} {
		c.grid(y(top*part), number(top*part))
	}
	for i, s := range history {
		sum := 0.0
		for result, n := range s.counts {
			if n == 0 {
				continue
			}
			next := sum + float64(n)/slotWidth.Seconds()
			fmt.Fprintf(c, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, results[result], columnX(i), y(next), plotWidth/float64(slots)-0.4, y(sum)-y(next))
			sum = next
		}
	}
	var line lineBuilder
	for i, s := range history {
		n := s.counts.total()
		line.add(n > 0, columnX(i)+plotWidth/float64(slots)/2, chartTop+plotHeight*(1-ratio(s.counts.cached(), n)))
	}
	line.draw(c, "ratio")
	for _, part := range []float64{0, 0.5, 1} {
		c.text("start", chartLeft+plotWidth+6, chartTop+plotHeight*(1-part)+4, percent(part))
	}
	c.times()
	return c.html()
}

// The times of timesChart.
const (
	leastTime = 10 * time.Microsecond
	mostTime  = 100 * time.Second
)

// timesChart draws the mean times of requests without and with the origin, on a logarithmic axis.
func timesChart(history []slot) template.HTML {
	c := newChart("Mean time until the header of a response, in the last half hour")
	y := func(d time.Duration) float64 {
		part := math.Log(float64(min(max(d, leastTime), mostTime))/float64(leastTime)) / math.Log(float64(mostTime)/float64(leastTime))
		return chartTop + plotHeight*(1-part)
	}
	for d := leastTime; d <= mostTime; d *= 10 {
		c.grid(y(d), duration(d))
	}
	for with, class := range []string{"time-cache", "time-origin"} {
		var line lineBuilder
		for i, s := range history {
			mean := time.Duration(0)
			if s.times[with] > 0 {
				mean = s.took[with] / time.Duration(s.times[with])
			}
			line.add(s.times[with] > 0, columnX(i)+plotWidth/float64(slots)/2, y(mean))
		}
		line.draw(c, class)
	}
	c.times()
	return c.html()
}

// lineBuilder makes lines through the points that exist. A single point becomes a dot.
type lineBuilder struct {
	path strings.Builder
	dots [][2]float64
	run  int // number of points since the last gap
	last [2]float64
}

func (l *lineBuilder) add(exists bool, x, y float64) {
	switch {
	case !exists:
		l.gap()
		return
	case l.run == 0:
		fmt.Fprintf(&l.path, "M%.1f %.1f", x, y)
	default:
		fmt.Fprintf(&l.path, "L%.1f %.1f", x, y)
	}
	l.run++
	l.last = [2]float64{x, y}
}

func (l *lineBuilder) gap() {
	if l.run == 1 {
		l.dots = append(l.dots, l.last)
	}
	l.run = 0
}

func (l *lineBuilder) draw(c *chart, class string) {
	l.gap()
	if l.path.Len() > 0 {
		fmt.Fprintf(c, `<path class="line %s" d="%s"/>`, class, l.path.String())
	}
	for _, d := range l.dots {
		fmt.Fprintf(c, `<circle class="dot %s" cx="%.1f" cy="%.1f" r="2"/>`, class, d[0], d[1])
	}
}

// bar draws the shares of the results in a line of a table.
func bar(n counts) template.HTML {
	var c strings.Builder
	c.WriteString(`<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">`)
	x := 0.0
	for i, k := range n {
		if width := 100 * ratio(k, n.total()); width > 0 {
			fmt.Fprintf(&c, `<rect class="%s" x="%.2f" y="0" width="%.2f" height="8"/>`, results[i], x, width)
			x += width
		}
	}
	c.WriteString("</svg>")
	return template.HTML(c.String())
}

// niceCeil returns 1, 2 or 5 times a power of ten, at least f.
func niceCeil(f float64) float64 {
	if f <= 0.1 {
		return 0.1
	}
	power := math.Pow(10, math.Floor(math.Log10(f)))
	for _, k := range []float64{1, 2, 5} {
		if k*power >= f-1e-9 {
			return k * power
		}
	}
	return 10 * power
}
