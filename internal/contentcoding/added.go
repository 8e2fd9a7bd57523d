package contentcoding

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// Decoder returns a reader of what a coded body contains.
type Decoder = func(coded io.Reader) (io.ReadCloser, error)

// Check returns an error for the first name in decoders that is not that of a coding, or that has no decoder.
func Check(decoders map[string]Decoder) error {
	for _, name := range slices.Sorted(maps.Keys(decoders)) {
		why := ""
		switch {
		case !rules.IsToken(name):
			why = "is not the name of a coding (RFC 9110, section 8.4.1)"
		case name != strings.ToLower(name):
			why = "must be in lower case"
		case name == "identity", name == "*":
			why = "stands for no coding"
		case name == "x-gzip":
			why = "is another name of gzip"
		case decoders[name] == nil:
			why = "has no decoder"
		default:
			continue
		}
		return fmt.Errorf("%q %s", name, why)
	}
	return nil
}

// added guards a decoder that a program has added. It returns a panic as an error, and does not trust the count of a Read.
type added struct {
	name  string
	d     io.ReadCloser
	empty int // Reads in a row that have returned nothing
}

// maxEmptyReads is how many times in a row a decoder may return neither bytes nor an error.
const maxEmptyReads = 100

// newAdded returns a guarded decoder. It returns nil if the coded body is empty, because then there is nothing to decode.
func newAdded(name string, decoder Decoder, coded io.Reader) (a *added, err error) {
	source := bufio.NewReader(coded)
	if _, err := source.Peek(1); err != nil {
		if err == io.EOF {
			err = nil
		}
		return nil, err
	}
	defer func() {
		if v := recover(); v != nil {
			err = panicked(name, v)
		}
	}()
	d, err := decoder(source)
	if d != nil {
		a = &added{name: name, d: d}
	}
	switch {
	case err == io.EOF:
		err = io.ErrUnexpectedEOF
	case err == nil && d == nil:
		err = fmt.Errorf("cachecontrol: the decoder of %s is nil", name)
	}
	return a, err
}

func (a *added) Read(p []byte) (n int, err error) {
	defer func() {
		if v := recover(); v != nil {
			n, err = 0, panicked(a.name, v)
		}
	}()
	n, err = a.d.Read(p)
	_ = p[:n:len(p)] // panics if the count is invalid
	if n > 0 || err != nil || len(p) == 0 {
		a.empty = 0
	} else if a.empty++; a.empty == maxEmptyReads {
		err = io.ErrNoProgress
	}
	return n, err
}

func (a *added) Close() error { return a.d.Close() }

// closeDecoder closes a decoder. What happens after the body has been decoded does not concern the reader.
func closeDecoder(c io.Closer) {
	defer func() { recover() }()
	c.Close()
}

func panicked(name string, v any) error {
	return fmt.Errorf("cachecontrol: the decoder of %s panics: %v", name, v)
}
