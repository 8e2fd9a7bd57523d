package storage

// Describer is implemented by a Store that has Traits. A Transport calls Traits once, before its first request.
type Describer interface {
	Traits() Traits
}

// Traits describe how a Store behaves. The zero value describes a Store of which nothing is known.
type Traits struct {
	// Local is true if no method waits for anything but a disk, or a lock on this machine until its context ends, and
	// if the entries that Get returns are complete. A Transport calls such a Store directly. It calls all others in a
	// goroutine, gives up a call that takes longer than its StoreTimeout, and verifies what they return.
	Local bool

	// Memory is true if, in addition, no method waits for a disk or for other processes.
	Memory bool

	// Copies is true if Create copies e.Header before it returns, so that the caller may modify it, and if the Store
	// does not use e once the Writer has ended.
	Copies bool

	// Warning describes what is unsafe about the place where the entries are stored. If it is not empty, a Transport
	// with a Logger logs it once.
	Warning string
}

// RangeReporter is implemented by a Store that knows whether it holds parts of representations. A Transport asks it
// before it looks for one.
type RangeReporter interface {
	// HasRanges reports whether an entry with a Range has ever been stored.
	HasRanges() bool
}
