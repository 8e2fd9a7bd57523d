package partlist

import (
	"bytes"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A list behaves like a set of bytes.
func TestAtRandom(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		const size = 40
		l := List{Total: size}
		var has [size + 1]bool
		for range 30 {
			start := r.Int64N(size)
			end := start + r.Int64N(size-start+1)
			if r.IntN(5) == 0 && l.Len() > 0 {
				p := l.All()[r.IntN(l.Len())]
				if !l.Remove(p.ID) || l.Remove(p.ID) {
					t.Fatalf("seed %d: Remove(%d) does not report whether the part was there", seed, p.ID)
				}
				has = bytesOf(&l)
			} else {
				l.Add(Part{Start: start, End: end, ID: r.Uint64()}, 1000)
				for i := start; i < end; i++ {
					has[i] = true
				}
			}
			if got := bytesOf(&l); got != has {
				t.Fatalf("seed %d: after Add(%d, %d) the list is %v, with the bytes %v, want %v", seed, start, end, l.parts, got, has)
			}
			checkList(t, &l)
			checkMissing(t, &l, has[:], start, end)
			again, err := Parse(l.Append(nil), 1000)
			if err != nil || again.Total != l.Total || !slices.Equal(again.parts, l.parts) {
				t.Fatalf("seed %d: Parse(Append) = %v, %v; want %v", seed, again, err, l)
			}
		}
	}
}

func bytesOf(l *List) (has [41]bool) {
	for _, p := range l.parts {
		for i := p.Start; i < p.End; i++ {
			has[i] = true
		}
	}
	return has
}

func checkList(t *testing.T, l *List) {
	t.Helper()
	for i, p := range l.parts {
		if p.Start >= p.End || i > 0 && (p.Start <= l.parts[i-1].Start || p.End <= l.parts[i-1].End) {
			t.Fatalf("the list is %v, want it in order, with no part in another", l.parts)
		}
	}
}

func checkMissing(t *testing.T, l *List, has []bool, start, end int64) {
	t.Helper()
	wantFrom, wantTo := end, end
	for i := start; i < end; i++ {
		if !has[i] {
			wantFrom = min(wantFrom, i)
			wantTo = i + 1
		}
	}
	if wantFrom == end {
		wantTo = end
	}
	if from, to := l.Missing(start, end); from != wantFrom || to != wantTo {
		t.Fatalf("%v.Missing(%d, %d) = %d, %d; want %d, %d", l.parts, start, end, from, to, wantFrom, wantTo)
	}
	parts, ok := l.Cover(start, end)
	pos := start
	for _, p := range parts {
		if p.Start > pos || p.End <= pos {
			t.Fatalf("%v.Cover(%d, %d) = %v, want parts that follow each other", l.parts, start, end, parts)
		}
		pos = p.End
	}
	if ok != (wantFrom == end) || start < end && min(pos, end) != wantFrom {
		t.Fatalf("%v.Cover(%d, %d) = %v, %v; want them up to %d", l.parts, start, end, parts, ok, wantFrom)
	}
}

// Beyond the limit, the parts that were added first are removed.
func TestLimit(t *testing.T) {
	l := List{Total: -1}
	for i, start := range []int64{50, 10, 30} {
		if removed := l.Add(Part{Start: start, End: start + 5}, 3); len(removed) > 0 {
			t.Errorf("Add %d removed %v, want none", i, removed)
		}
	}
	if removed := l.Add(Part{Start: 70, End: 75}, 3); len(removed) != 1 || removed[0].Start != 50 {
		t.Errorf("Add removed %v, want the part at 50", removed)
	}
	if removed := l.Add(Part{Start: 30, End: 36}, 3); len(removed) != 1 || removed[0].Start != 30 || removed[0].End != 35 {
		t.Errorf("Add removed %v, want the part from 30 to 35", removed)
	}
	if removed := l.Add(Part{Start: 31, End: 36, ID: 7}, 3); len(removed) != 1 || removed[0].ID != 7 {
		t.Errorf("Add of a part that is contained removed %v, want that part", removed)
	}
	if removed := l.Add(Part{Start: 90, End: 95}, 3); len(removed) != 1 || removed[0].Start != 10 {
		t.Errorf("Add removed %v, want the part at 10", removed)
	}
}

func TestTouching(t *testing.T) {
	l := List{Total: 100}
	for _, start := range []int64{0, 10, 20, 30, 40} {
		l.Add(Part{Start: start, End: start + 5}, 10)
	}
	for _, tt := range []struct {
		start, end int64
		want       []int64
	}{
		{5, 10, []int64{0, 10}}, {6, 9, nil}, {12, 22, []int64{10, 20}}, {15, 30, []int64{10, 20, 30}}, {45, 50, []int64{40}}, {46, 50, nil},
	} {
		var got []int64
		for _, p := range l.Touching(tt.start, tt.end) {
			got = append(got, p.Start)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("Touching(%d, %d) = %v, want %v", tt.start, tt.end, got, tt.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	l := List{Total: 1000}
	l.Add(Part{Start: 1, End: 5, ID: 1 << 63}, 10)
	l.Add(Part{Start: 500, End: 1000}, 10)
	f.Add(l.Append(nil))
	f.Add([]byte{version, 0, 0})
	f.Add([]byte{version, 0, 2, 0, 1, 1, 0, 2, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b, 100)
		if err != nil {
			return
		}
		checkList(t, &l)
		if l.Len() > 100 || l.Total >= 0 && l.End() > l.Total {
			t.Errorf("Parse(%x) = %v", b, l)
		}
		if again := l.Append(nil); !bytes.Equal(again, b) { // a number may be written in several ways
			if second, err := Parse(again, 100); err != nil || !slices.Equal(second.parts, l.parts) {
				t.Errorf("Parse(%x) = %v, %v; want %v", again, second, err, l)
			}
		}
	})
}

// Grow extends bytes by parts that meet them, as long as these and the result are short enough.
func TestGrow(t *testing.T) {
	l := List{Total: 1000}
	for _, p := range []Part{{Start: 0, End: 4}, {Start: 4, End: 8}, {Start: 12, End: 14}, {Start: 14, End: 60}, {Start: 100, End: 200}, {Start: 210, End: 220}} {
		l.Add(p, 10)
	}
	for _, tt := range []struct{ start, end, small, most, from, to int64 }{
		{8, 12, 1, 100, 0, 14},  // the part from 14 on is longer than what it would extend
		{8, 12, 50, 100, 0, 60}, // unless it is short
		{8, 12, 50, 20, 0, 14},  // the result would be too long
		{8, 12, 50, 3, 8, 12},   // the bytes themselves are
		{9, 11, 50, 100, 9, 11}, // nothing meets them
		{200, 210, 1, 15, 200, 210},
		{200, 210, 1, 20, 200, 220},
		{200, 210, 100, 200, 100, 220},
		{5, 13, 1, 100, 0, 14},
	} {
		if from, to := l.Grow(tt.start, tt.end, tt.small, tt.most); from != tt.from || to != tt.to {
			t.Errorf("Grow(%d, %d, %d, %d) = %d, %d; want %d, %d", tt.start, tt.end, tt.small, tt.most, from, to, tt.from, tt.to)
		}
	}
	for pos, want := range map[int64]bool{4: true, 8: true, 3: false, 9: false, 60: true, 0: false} {
		if got := l.EndsAt(pos); got != want {
			t.Errorf("EndsAt(%d) = %v, want %v", pos, got, want)
		}
	}
}

// Offsets may be as large as any that a Content-Range may have.
func TestHugeOffsets(t *testing.T) {
	for _, total := range []int64{-1, 1, 1 << 62, math.MaxInt64 - 1, math.MaxInt64} {
		l := List{Total: total}
		l.Add(Part{Start: 0, End: 1, ID: 1}, 10)
		if total > 1 {
			l.Add(Part{Start: total - 2, End: total - 1, ID: 2}, 10)
			l.Add(Part{Start: total - 1, End: total, ID: 3}, 10)
		}
		again, err := Parse(l.Append(nil), 10)
		if err != nil || again.Total != l.Total || !slices.Equal(again.parts, l.parts) {
			t.Errorf("total %d: %+v, %v, want %+v", total, again, err, l)
		}
		if from, to := l.Grow(0, 1, 10, 100); from != 0 || to != 1 && total > 10 {
			t.Errorf("total %d: Grow(0, 1) = %d, %d", total, from, to)
		}
	}
}
