// Package storagetest tests implementations of storage.Store.
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) storage.Store { return mystore.New(t.TempDir()) })
//	}
package storagetest

import (
	"testing"

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
