package probe

import "github.com/go-cachecontrol/cachecontrol/lint"

// notes are the kinds of notes, in the order of docs/lint.md.
var notes = []lint.Note{
	{
		Code: "etag-ignored", Level: lint.Warning, Field: "ETag", Reference: "RFC 9110, section 13.1.2",
		Text: "A request with this tag in If-None-Match gets the whole response again instead of a 304.",
	},
	{
		Code: "etag-unstable", Level: lint.Warning, Field: "ETag", Reference: "RFC 9110, section 8.8.3",
		Text: "A second response with the same content has another tag, so validation never succeeds.",
	},
	{
		Code: "etag-condition-fails", Level: lint.Warning, Reference: "RFC 9110, section 13.1.2",
		Text: "A request with If-None-Match gets this status, which is neither 200 nor 304.",
	},
	{
		Code: "etag-always-current", Level: lint.Error, Field: "ETag", Reference: "RFC 9110, section 13.1.2",
		Text: "A request with another tag in If-None-Match gets a 304, too. Caches then keep what is out of date.",
	},
	{
		Code: "not-modified-with-other-etag", Level: lint.Error, Field: "ETag", Reference: "RFC 9110, section 15.4.5",
		Text: "The 304 has another tag than the 200 that it confirms.",
	},
	{
		Code: "not-modified-with-other-freshness", Level: lint.Info, Field: "Cache-Control", Reference: "RFC 9111, section 3.2",
		Text: "The 304 has another Cache-Control than the 200. From then on, caches use that of the 304.",
	},
	{
		Code: "last-modified-ignored", Level: lint.Warning, Field: "Last-Modified", Reference: "RFC 9110, section 13.1.3",
		Text: "A request with this date in If-Modified-Since gets the whole response again instead of a 304.",
	},
	{
		Code: "last-modified-unstable", Level: lint.Warning, Field: "Last-Modified", Reference: "RFC 9110, section 8.8.2",
		Text: "A second response with the same content has another date, so validation never succeeds.",
	},
	{
		Code: "last-modified-condition-fails", Level: lint.Warning, Reference: "RFC 9110, section 13.1.3",
		Text: "A request with If-Modified-Since gets this status, which is neither 200 nor 304.",
	},
	{
		Code: "range-ignored", Level: lint.Warning, Field: "Accept-Ranges", Reference: "RFC 9110, section 14.3",
		Text: "The response announces ranges of bytes, but a request for a range gets the whole.",
	},
	{
		Code: "range-fails", Level: lint.Warning, Reference: "RFC 9110, section 14.2",
		Text: "A request for a range gets this status, which is neither 200 nor 206.",
	},
	{
		Code: "range-differs", Level: lint.Error, Field: "Content-Range", Reference: "RFC 9110, section 15.3.7",
		Text: "The bytes of this part are not those of the whole.",
	},
	{
		Code: "range-cut", Level: lint.Error, Field: "Content-Range", Reference: "RFC 9110, section 14.4",
		Text: "The part does not have the length that Content-Range states.",
	},
	{
		Code: "range-of-other-length", Level: lint.Error, Field: "Content-Range", Reference: "RFC 9110, section 14.4",
		Text: "The total length in Content-Range is not that of the whole.",
	},
	{
		Code: "range-of-other-etag", Level: lint.Error, Field: "ETag", Reference: "RFC 9110, section 15.3.7",
		Text: "The part has another tag than the whole, so parts cannot be combined.",
	},
	{
		Code: "range-without-etag", Level: lint.Warning, Field: "ETag", Reference: "RFC 9110, section 15.3.7",
		Text: "The part has no tag, but the whole has. A part must have the ETag that the whole would have.",
	},
	{
		Code: "if-range-ignored", Level: lint.Error, Reference: "RFC 9110, section 13.1.5",
		Text: "A request for a range with another tag in If-Range gets a part. Clients that resume a download join parts of different contents.",
	},
	{
		Code: "vary-untrue", Level: lint.Error, Field: "Vary", Reference: "RFC 9110, section 12.5.5",
		Text: "The content depends on Accept-Encoding, but Vary does not name it in each response. Caches give one client what another one asked for.",
	},
	{
		Code: "etag-same-for-codings", Level: lint.Error, Field: "ETag", Reference: "RFC 9110, section 8.8.3.3",
		Text: "The content with gzip and the one without have the same strong tag. Caches may join parts of both.",
	},
	{
		Code: "etag-of-coding-ignored", Level: lint.Warning, Field: "ETag", Reference: "RFC 9110, section 8.8.3.3",
		Text: "A request with the tag of the content with gzip in If-None-Match gets the whole response again instead of a 304.",
	},
	{
		Code: "coding-not-asked-for", Level: lint.Error, Field: "Content-Encoding", Reference: "RFC 9110, section 12.5.3",
		Text: "The request accepts no content coding, and the response has one.",
	},
	{
		Code: "coding-broken", Level: lint.Error, Field: "Content-Encoding", Reference: "RFC 9110, section 8.4",
		Text: "The request accepts only gzip, and the content of the response is not what Content-Encoding says, or has another coding.",
	},
	{
		Code: "coding-differs", Level: lint.Error, Field: "Content-Encoding", Reference: "RFC 9110, section 8.4",
		Text: "The content with gzip is not the same as the content without.",
	},
	{
		Code: "head-status-differs", Level: lint.Warning, Reference: "RFC 9110, section 9.3.2",
		Text: "HEAD gets this status, and GET another one.",
	},
	{
		Code: "head-differs", Level: lint.Warning, Field: several, Reference: "RFC 9111, section 4.3.5",
		Text: "The response to HEAD has another value of this field than the one to GET. Caches update the stored response with it, or discard that.",
	},
	{
		Code: "content-changes", Level: lint.Info, Reference: "",
		Text: "The content was another one a moment later, so not everything could be compared.",
	},
	{
		Code: "probe-skipped", Level: lint.Info, Reference: "",
		Text: "The response has this status and not 200, so nothing else was asked.",
	},
	{
		Code: "probe-stopped", Level: lint.Info, Reference: "",
		Text: "The origin answered a request with this status, so nothing else was asked.",
	},
	{
		Code: "probe-failed", Level: lint.Info, Reference: "",
		Text: "A request failed, so nothing else was asked.",
	},
}

// several is the field of a kind of notes about several fields.
const several = "*"
