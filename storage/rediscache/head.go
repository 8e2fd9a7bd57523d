package rediscache

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-cachecontrol/cachecontrol/internal/document"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

// headMagic begins a value whose body is stored separately. The value is one line, headMagic NAME SP
// CHUNKSIZE LF, followed by a document without a body. Python's CacheControl does not know this version, so
// the value is a miss for it.
const headMagic = "cc=go1,"

// headLine is longer than the first line of any such value, if the length of the prefix is reasonable.
const headLine = 4 << 10

// part identifies a separate body: the hash under name, whose fields are the numbers of its chunks, from 0.
// All chunks are of the same size in bytes, except the last, which may be shorter.
type part struct {
	name  string
	chunk int64
}

// line returns the first line of a value whose body is at p.
func (p part) line() string { return headMagic + p.name + " " + strconv.FormatInt(p.chunk, 10) + "\n" }

func (p part) chunks(length int64) int64 { return (length + p.chunk - 1) / p.chunk }

// appendHead returns the value for an entry whose body is at p.
func appendHead(p part, e *storage.Entry) ([]byte, error) {
	doc, err := document.MarshalHead(e)
	if err != nil {
		return nil, err
	}
	return append([]byte(p.line()), doc...), nil
}

// cutHead splits a value into the location of the body and the document. It returns false if value is a plain
// document or anything else that does not begin with such a line.
func cutHead(prefix string, value []byte) (p part, doc []byte, ok bool) {
	rest, ok := bytes.CutPrefix(value, []byte(headMagic))
	if !ok {
		return part{}, nil, false
	}
	line, doc, ok := bytes.Cut(rest, []byte{'\n'})
	if !ok {
		return part{}, nil, false
	}
	i := bytes.LastIndexByte(line, ' ')
	if i < 0 {
		return part{}, nil, false
	}
	p.name = string(line[:i])
	n, err := strconv.ParseInt(string(line[i+1:]), 10, 64)
	if err != nil || n <= 0 || n > maxChunk || !isBodyName(prefix, p.name) {
		return part{}, nil, false
	}
	p.chunk = n
	return p, doc, true
}

// parseHead parses the metadata of an entry whose body is stored separately.
func parseHead(doc []byte) (*storage.Entry, error) {
	e, body, err := document.Unmarshal(doc)
	switch {
	case err != nil:
		return nil, err
	case len(body) > 0:
		return nil, errors.New("the metadata is followed by a body")
	case e.Foreign:
		return nil, errors.New("the metadata has no body length")
	case e.Length <= 0:
		return nil, fmt.Errorf("invalid body length %d", e.Length)
	}
	return e, nil
}
