package cassette

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// A har is an HTTP Archive, version 1.2 (http://www.softwareishard.com/blog/har-12-spec/).
type har struct {
	Creator struct{ Name string }
	Entries []harEntry
}

type harEntry struct {
	Request struct {
		Method, URL string
		Headers     []harField
		PostData    struct {
			MimeType, Text string
			Params         []harField
		}
	}
	Response struct {
		Status                  int
		StatusText, HTTPVersion string
		Headers                 []harField
		Content                 struct {
			Size     float64
			Text     *string
			Encoding string
		}
		Error string `json:"_error"`
	}
}

type harField struct{ Name, Value string }

// readJSON reads a HAR file, or a cassette of VCR.py in JSON.
func readJSON(data []byte) ([]*exchange, error) {
	var file struct {
		Log *har
	}
	var kind *json.UnmarshalTypeError
	switch err := json.Unmarshal(data, &file); {
	case errors.As(err, &kind) && data[0] == '[':
		return nil, errOld
	case errors.As(err, &kind):
		return nil, fmt.Errorf("%s is a JSON %s", strings.ToLower(kind.Field), kind.Value)
	case err != nil:
		return nil, fmt.Errorf("not JSON: %w", err)
	case file.Log == nil:
		return readJSONCassette(data)
	}
	var exchanges []*exchange
	for i, e := range file.Log.Entries {
		x, err := e.exchange(strings.EqualFold(file.Log.Creator.Name, "Firefox"))
		if err != nil {
			return nil, fmt.Errorf("%d: %s %.200q: %w", i+1, e.Request.Method, e.Request.URL, err)
		}
		exchanges = append(exchanges, x)
	}
	return exchanges, nil
}

// exchange converts an entry. Firefox sometimes says base64 of a text that is not in base64 (bug 1762313 of Mozilla).
func (e *harEntry) exchange(firefox bool) (*exchange, error) {
	q, r := &e.Request, &e.Response
	x := &exchange{
		method: strings.ToUpper(q.Method), url: q.URL, reqHeader: harHeader(q.Headers), sent: q.PostData.Text,
		proto: r.HTTPVersion, status: strconv.Itoa(r.Status) + " " + r.StatusText, code: r.Status, header: harHeader(r.Headers), neverCoded: true,
	}
	if x.sent == "" && len(q.PostData.Params) > 0 {
		form := url.Values{}
		for _, p := range q.PostData.Params {
			form.Add(p.Name, p.Value)
		}
		x.sent = form.Encode()
	}
	bodyless := x.method == http.MethodHead || x.code == http.StatusNoContent || x.code == http.StatusNotModified
	switch content := &r.Content; {
	case !strings.HasPrefix(strings.ToLower(q.URL), "http"):
		x.leftOut = "not a request with HTTP"
	case x.code == 0:
		x.leftOut = strings.TrimSpace("there was no response " + r.Error)
	case x.code == http.StatusSwitchingProtocols:
		x.leftOut = "the connection is no longer HTTP"
	case content.Text == nil && content.Size > 0 && !bodyless:
		x.leftOut = "the file does not have the body; some tools save it only if they are asked to"
	case content.Text != nil && strings.EqualFold(content.Encoding, "base64"):
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(*content.Text), ""))
		if err != nil && !firefox {
			return nil, fmt.Errorf("the body is not base64: %w", err)
		}
		if x.body = string(b); err != nil {
			x.body = *content.Text
		}
	case content.Text != nil:
		x.body = *content.Text
	}
	return x, nil
}

// harHeader returns header fields without the pseudo-header fields of HTTP/2. Chrome joins several lines of a field with line
// ends.
func harHeader(fields []harField) http.Header {
	h := http.Header{}
	for _, f := range fields {
		if strings.HasPrefix(f.Name, ":") {
			continue
		}
		for line := range strings.SplitSeq(f.Value, "\n") {
			h.Add(f.Name, strings.TrimSpace(line))
		}
	}
	return h
}
