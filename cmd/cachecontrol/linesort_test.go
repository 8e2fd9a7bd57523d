package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
)

func TestLineSorter(t *testing.T) {
	for _, n := range []int{0, 1, 1000, 2 * maxSorted / 64} { // the last needs a file
		var s lineSorter
		random := rand.New(rand.NewPCG(1, uint64(n)))
		for range n {
			key := binary.BigEndian.AppendUint32(nil, random.Uint32())
			key = key[:2+random.IntN(3)]
			if err := s.add(key, append([]byte("line "), key...)); err != nil {
				t.Fatal(err)
			}
		}
		if got, want := s.file != nil, n*64 >= maxSorted; got != want {
			t.Errorf("%d lines: in a file = %v, want %v", n, got, want)
		}
		count, last := 0, []byte(nil)
		err := s.each(func(text []byte) error {
			if count++; bytes.Compare(text, last) < 0 {
				t.Errorf("%d lines: %q after %q", n, text, last)
			}
			last = append(last[:0], text...)
			return nil
		})
		if err != nil || count != n {
			t.Errorf("%d lines: got %d, %v", n, count, err)
		}
		s.close()
		if s.file != nil {
			if _, err := os.Stat(s.file.Name()); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("Stat = %v after close, want %v", err, os.ErrNotExist)
			}
		}
	}
}
