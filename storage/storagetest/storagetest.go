// Package storagetest tests implementations of storage.Store.
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return mystore.New(t.TempDir()) })
//	}
package storagetest

import (
	"context"
	"testing"
	"time"

	"github.com/go-cachecontrol/cachecontrol/storage"
)

// Run runs the tests of a storage.Store as subtests of t. It calls newStore for each; newStore must return an
// empty store, and can use t.Cleanup. A failure message names the rule that was broken, and what the test got
// and wanted.
//
// Each optional interface that the store implements is tested, too.
//
// A store may refuse the largest body, of 5 MiB, with ErrTooLarge. Run the tests under the race detector,
// too.
func Run(t *testing.T, newStore func(t *testing.T) storage.Store) {
	for _, test := range []struct {
		name string
		f    func(*tester)
	}{
		{"RoundTrip", roundTrip},
		{"Missing", missing},
		{"NotVisibleBeforeCommit", notVisibleBeforeCommit},
		{"AbortLeavesOld", abortLeavesOld},
		{"CommitReplaces", commitReplaces},
		{"CommitStays", commitStays},
		{"ReplacedWhileRead", replacedWhileRead},
		{"Delete", deletes},
		{"Keys", keys},
		{"Bodies", bodies},
		{"LengthIsAHint", lengthIsAHint},
		{"WriterEnds", writerEnds},
		{"LateFields", lateFields},
		{"LongMetadata", longMetadata},
		{"WriterBuffersAreTheCallers", buffersAreTheCallers},
		{"SeekAndWriteTo", seekAndWriteTo},
		{"UpdateKeepsBody", updateKeepsBody},
		{"UpdateMissing", updateMissing},
		{"UpdateChanged", updateChanged},
		{"CancelledContext", cancelledContext},
		{"Concurrent", concurrent},
		{"Close", closes},
		{"Copies", copies},
		{"Lookup", lookup},
		{"UpdateIf", updateIf},
		{"CommitIf", commitIf},
		{"CompareConcurrently", compareConcurrently},
		{"DeleteWhileComparing", deleteWhileComparing},
		{"Written", written},
		{"NoRanges", noRanges},
		{"KeepDecoded", keepDecoded},
		{"Evictions", evictions},
		{"Watch", watch},
		{"Lease", lease},
		{"LeaseEnds", leaseEnds},
		{"LeaseProtectsNothing", leaseProtectsNothing},
		{"LeaseKeys", leaseKeys},
		{"LeaseContext", leaseContext},
		{"LeaseConcurrently", leaseConcurrently},
		{"Batch", batch},
		{"Notices", notices},
		{"List", list},
		{"ListEnds", listEnds},
		{"ListAndDelete", listAndDelete},
		{"ListConcurrently", listConcurrently},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.f(&tester{T: t, store: newStore(t)})
		})
	}
}

// RunHanging tests that a store that declares HonorsContexts does so while its server hangs. newStore returns a store, and
// a function that makes the server hang until the test ends.
func RunHanging(t *testing.T, newStore func(t *testing.T) (store storage.Store, hang func())) {
	long := text(5<<20, 1)
	for _, test := range []struct {
		name string
		f    func(t *tester, ctx context.Context)
	}{
		{"Get", func(t *tester, ctx context.Context) { t.store.Get(ctx, url) }},
		{"Commit", func(t *tester, ctx context.Context) { t.createWith(ctx, "body").Commit() }},
		{"CommitLong", func(t *tester, ctx context.Context) { t.createWith(ctx, long).Commit() }},
		{"Abort", func(t *tester, ctx context.Context) { t.createWith(ctx, "body").Abort() }},
		{"AbortLong", func(t *tester, ctx context.Context) { t.createWith(ctx, long).Abort() }},
		{"Update", func(t *tester, ctx context.Context) { t.store.Update(ctx, url, Entry()) }},
		{"Delete", func(t *tester, ctx context.Context) { t.store.Delete(ctx, url) }},
		{"Lease", func(t *tester, ctx context.Context) {
			if l, ok := t.store.(storage.Leaser); ok {
				l.Lease(ctx, url, time.Minute)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, hang := newStore(t)
			d, ok := store.(storage.Describer)
			if !ok || !d.Traits().HonorsContexts && !d.Traits().Local {
				t.Skip("the store does not declare that it honors contexts")
			}
			s := &tester{T: t, store: store}
			s.put(url, Entry(), "body")
			hang()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				test.f(s, ctx)
			}()
			select {
			case <-ended:
			case <-time.After(hangsFor):
				t.Fatalf("%s of a store that HonorsContexts must return soon after the deadline: it has not after %v", test.name, hangsFor)
			}
		})
	}
}

// hangsFor is how long a call takes that does not honor its context, with time to spare for a machine that is busy.
const hangsFor = 10 * time.Second

// createWith creates an entry and writes its body, as far as the store lets it.
func (t *tester) createWith(ctx context.Context, body string) storage.Writer {
	w, err := t.store.Create(ctx, url, Entry())
	if err != nil {
		return nothing{}
	}
	t.write(w, []byte(body))
	return w
}

// nothing is the Writer of a store that creates none.
type nothing struct{ storage.Writer }

func (nothing) Commit() error { return nil }
func (nothing) Abort() error  { return nil }
