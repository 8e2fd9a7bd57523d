package breaker_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/breaker"
)

const timeout = time.Second

// allows checks Allow. The server answers a probe as it is told to, and counts it.
type server struct {
	breaker.Breaker
	answers bool
	probes  int
}

func (s *server) allows(t *testing.T, want bool) {
	t.Helper()
	got := s.Allow(timeout, func() bool {
		s.probes++
		time.Sleep(timeout / 2)
		return s.answers
	})
	if got != want {
		t.Errorf("Allow = %v, want %v", got, want)
	}
	if s.Open() == want {
		t.Errorf("Open = %v, want %v", !want, !want)
	}
}

// giveUp makes calls without an answer until the breaker opens.
func (s *server) giveUp(t *testing.T) {
	t.Helper()
	for range 3 {
		s.allows(t, true)
		time.Sleep(timeout)
		s.Failed(timeout)
	}
	s.allows(t, false)
}

func TestOpens(t *testing.T) {
	for _, test := range []struct {
		name  string
		pause time.Duration // between two of five calls without an answer
		after int           // the call that is answered; 0 for none
		want  bool          // is it open then
	}{
		{"several in a row", timeout / 2, 0, true},
		{"at once, because it stalls", timeout / 10, 0, false},
		{"with an answer in between", timeout / 2, 2, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var b breaker.Breaker
			for i := range 5 {
				b.Failed(timeout)
				if i == test.after && i > 0 {
					b.Answered()
				}
				time.Sleep(test.pause)
			}
			if got := b.Open(); got != test.want {
				t.Errorf("%s: Open = %v, want %v", test.name, got, test.want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) {
		var b breaker.Breaker
		for range 2 { // too few
			time.Sleep(time.Hour)
			b.Failed(timeout)
		}
		if b.Open() {
			t.Error("Open after two failures = true, want false")
		}
	})
}

func TestProbes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		s.giveUp(t)
		// The pauses grow, and one probe is made after each. It delays no call.
		for i, pause := range []time.Duration{1, 2, 4, 8, 10, 10} {
			time.Sleep(pause*timeout - 1)
			s.allows(t, false)
			synctest.Wait()
			if s.probes != i {
				t.Errorf("%d probes before the end of pause %d, want %d", s.probes, i+1, i)
			}
			time.Sleep(time.Nanosecond)
			start := time.Now()
			s.allows(t, false)
			s.allows(t, false)
			if took := time.Since(start); took != 0 {
				t.Errorf("Allow took %v, want no time", took)
			}
			time.Sleep(timeout / 2)
			synctest.Wait()
			if s.probes != i+1 {
				t.Errorf("%d probes after pause %d, want %d", s.probes, i+1, i+1)
			}
		}
		s.answers = true
		time.Sleep(10 * timeout)
		s.allows(t, false)
		time.Sleep(timeout / 2)
		synctest.Wait()
		s.allows(t, true)

		// A server that answers probes, but no calls, has longer and longer pauses, until it answers a call.
		s.giveUp(t)
		time.Sleep(2 * timeout)
		s.allows(t, false)
		time.Sleep(8 * timeout)
		s.allows(t, false)
		time.Sleep(timeout)
		s.allows(t, true)
		s.Answered()
		s.giveUp(t)
		time.Sleep(timeout)
		s.allows(t, false)
		time.Sleep(timeout)
		s.allows(t, true)
	})
}

// An answer to a call that was made before closes the breaker.
func TestLateAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		s.giveUp(t)
		s.Answered()
		s.allows(t, true)

		s.giveUp(t)
		time.Sleep(timeout)
		s.allows(t, false) // begins a probe, which fails
		s.Answered()
		time.Sleep(timeout)
		s.allows(t, true)
	})
}
