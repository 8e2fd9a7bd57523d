package cachecontrol

// span is a part of a representation: the bytes from start up to, but not including, end, of total bytes, or -1 if not
// known.
type span struct{ start, end, total int64 }

func (a span) length() int64 { return a.end - a.start }
