package rediscache

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"

	"github.com/go-cachecontrol/cachecontrol/serialize"
)

// headMagic begins the value under a plain key whose body is elsewhere: one line, headMagic NAME SP CHUNKSIZE LF, and
// then a document without a body. Python's CacheControl knows no version of this name, and takes the value for a miss.
const headMagic = "cc=go1,"

// headLine is longer than the first line of any head whose key has a prefix of reasonable length.
const headLine = 4 << 10

// part says where a body is: in the hash under name, whose fields are the numbers of its chunks, from 0 on. All chunks
// are of the same size, in bytes, but for the last, which may be shorter.
type part struct {
	name  string
	chunk int64
}

func (p part) chunks(length int64) int64 { return (length + p.chunk - 1) / p.chunk }

// appendHead returns the value for an entry whose body is at p.
func appendHead(p part, e *serialize.Entry) ([]byte, error) {
	doc, err := serialize.MarshalHead(e)
	if err != nil {
		return nil, err
	}
	dst := make([]byte, 0, len(headMagic)+len(p.name)+16+len(doc))
	dst = append(dst, headMagic...)
	dst = append(dst, p.name...)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, p.chunk, 10)
	dst = append(dst, '\n')
	return append(dst, doc...), nil
}

// cutHead splits a value into where its body is and its document. ok is false for a plain document, and for anything
// else that does not begin as a head.
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

// parseHead reads the entry of a head.
func parseHead(doc []byte) (*serialize.Entry, error) {
	e, body, err := serialize.Unmarshal(doc)
	switch {
	case err != nil:
		return nil, err
	case len(body) > 0:
		return nil, errors.New("the head has a body of its own")
	case e.Foreign:
		return nil, errors.New("the head has no length")
	case e.Length <= 0:
		return nil, fmt.Errorf("a body of %d bytes in chunks", e.Length)
	}
	return e, nil
}
