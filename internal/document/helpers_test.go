package document_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// sameEntry compares what is stored of an entry.
var sameEntry = cmp.Options{
	cmpopts.IgnoreUnexported(storage.Entry{}),
	cmpopts.IgnoreFields(storage.Entry{}, "Keep", "Stamp"),
	cmpopts.EquateEmpty(),
}

// read reads a document from memory and from a file, and fails the test where the two differ.
func read(t testing.TB, doc []byte) (*storage.Entry, []byte, error) {
	t.Helper()
	e, body, err := document.Unmarshal(doc)
	f, offset, length, ferr := document.Decode(bytes.NewReader(doc), int64(len(doc)))
	if err != nil {
		var syntax *document.SyntaxError
		if !errors.Is(err, document.ErrVersion) && !errors.As(err, &syntax) {
			t.Errorf("Unmarshal: error %v of type %T", err, err)
		}
		if syntax != nil && (syntax.Offset < 0 || syntax.Offset > int64(len(doc))) {
			t.Errorf("Unmarshal: error %v in a document of %d bytes", err, len(doc))
		}
		if ferr == nil || ferr.Error() != err.Error() {
			t.Errorf("Unmarshal: error %v, Decode: error %v", err, ferr)
		}
		if e != nil || body != nil || f != nil {
			t.Error("an entry beside an error")
		}
		return nil, nil, err
	}
	if ferr != nil {
		t.Errorf("Unmarshal: no error, Decode: %v", ferr)
		return e, body, nil
	}
	if d := cmp.Diff(e, f, sameEntry, cmpopts.IgnoreUnexported(storage.Entry{})); d != "" {
		t.Errorf("Unmarshal and Decode differ:\n%s", d)
	}
	if !bytes.Equal(body, doc[offset:offset+length]) || cap(body) != len(body) {
		t.Errorf("Unmarshal: body %q of capacity %d, Decode: %d bytes at %d", body, cap(body), length, offset)
	}
	return e, body, nil
}
