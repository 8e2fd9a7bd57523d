package main

import (
	"bufio"
	"bytes"
	"container/heap"
	"encoding/binary"
	"io"
	"os"
	"slices"
)

// lineSorter sorts lines by their keys. It keeps maxSorted bytes of them in memory, and writes more to a temporary file, in
// runs that are sorted.
type lineSorter struct {
	lines []keyedLine // of the current run
	bytes int         // that they take
	file  *os.File    // nil if there is no other run
	ends  []int64     // of the runs in the file
}

type keyedLine struct{ key, text []byte }

// maxSorted is the number of bytes of a run.
const maxSorted = 16 << 20

// add adds a line. It keeps key and text.
func (s *lineSorter) add(key, text []byte) error {
	s.lines = append(s.lines, keyedLine{key, text})
	s.bytes += len(key) + len(text) + 64 // and what the slices and the allocations take
	if s.bytes < maxSorted {
		return nil
	}
	return s.spill()
}

func (s *lineSorter) sort() {
	slices.SortFunc(s.lines, func(a, b keyedLine) int { return bytes.Compare(a.key, b.key) })
}

// spill writes the current run to the file.
func (s *lineSorter) spill() (err error) {
	if s.file == nil {
		if s.file, err = os.CreateTemp("", "cachecontrol-sort-"); err != nil {
			return err
		}
	}
	s.sort()
	w := bufio.NewWriterSize(s.file, 64<<10)
	for _, l := range s.lines {
		var lengths [2 * binary.MaxVarintLen64]byte
		w.Write(binary.AppendUvarint(binary.AppendUvarint(lengths[:0], uint64(len(l.key))), uint64(len(l.text))))
		w.Write(l.key)
		w.Write(l.text)
	}
	if err := w.Flush(); err != nil { // that of any Write, too
		return err
	}
	end, err := s.file.Seek(0, io.SeekCurrent)
	s.ends = append(s.ends, end)
	clear(s.lines)
	s.lines, s.bytes = s.lines[:0], 0
	return err
}

// each calls f for all lines in order, until it returns an error.
func (s *lineSorter) each(f func(text []byte) error) error {
	if s.file == nil {
		s.sort()
		for _, l := range s.lines {
			if err := f(l.text); err != nil {
				return err
			}
		}
		return nil
	}
	if err := s.spill(); err != nil {
		return err
	}
	var runs runHeap
	start := int64(0)
	for _, end := range s.ends {
		r := &sortedRun{Reader: bufio.NewReaderSize(io.NewSectionReader(s.file, start, end-start), 16<<10)}
		start = end
		switch err := r.next(); err {
		case nil:
			runs = append(runs, r)
		case io.EOF:
		default:
			return err
		}
	}
	heap.Init(&runs)
	for len(runs) > 0 {
		if err := f(runs[0].line.text); err != nil {
			return err
		}
		switch err := runs[0].next(); err {
		case nil:
			heap.Fix(&runs, 0)
		case io.EOF:
			heap.Pop(&runs)
		default:
			return err
		}
	}
	return nil
}

// close removes the file.
func (s *lineSorter) close() {
	if s.file != nil {
		s.file.Close()
		os.Remove(s.file.Name())
	}
}

// sortedRun reads a run of a lineSorter.
type sortedRun struct {
	*bufio.Reader
	line keyedLine
}

// next reads the next line. It returns io.EOF after the last one.
func (r *sortedRun) next() error {
	key, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	text, err := binary.ReadUvarint(r)
	if err != nil {
		return err
	}
	all := slices.Grow(r.line.key[:0], int(key+text))[:key+text]
	_, err = io.ReadFull(r, all)
	r.line = keyedLine{all[:key], all[key:]}
	return err
}

// runHeap is a heap of runs by their next lines.
type runHeap []*sortedRun

func (h runHeap) Len() int           { return len(h) }
func (h runHeap) Less(i, j int) bool { return bytes.Compare(h[i].line.key, h[j].line.key) < 0 }
func (h runHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *runHeap) Push(r any)        { *h = append(*h, r.(*sortedRun)) }

func (h *runHeap) Pop() any {
	last := len(*h) - 1
	r := (*h)[last]
	*h = (*h)[:last]
	return r
}
