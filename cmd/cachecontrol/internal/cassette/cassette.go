// Package cassette reads the files in which other tools record HTTP: cassettes of go-vcr and VCR.py, and HAR files.
package cassette

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/go-cachecontrol/cachecontrol/internal/rules"
)

// MaxBytes is the greatest length of a file that Read accepts, and of all bodies in it together. A YAML file may refer to one
// body many times.
const MaxBytes = 256 << 20

// Read returns the responses in a file, each with its Request, and a text for each one that is left out because the file
// lacks its status or its body. The error says what is wrong and where.
func Read(data []byte) (responses []*http.Response, leftOut []string, err error) {
	if len(data) > MaxBytes {
		return nil, nil, fmt.Errorf("the file is longer than %d MiB", MaxBytes>>20)
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\ufeff")))
	read := readYAML
	if bytes.HasPrefix(data, []byte("{")) || bytes.HasPrefix(data, []byte("[")) {
		read = readJSON
	}
	exchanges, err := read(data)
	if err != nil {
		return nil, nil, err
	}
	total := 0
	for i, x := range exchanges {
		if x.leftOut != "" {
			leftOut = append(leftOut, fmt.Sprintf("%d: %s %s: %s", i+1, x.method, x.url, x.leftOut))
			continue
		}
		if total += len(x.sent) + len(x.body); total > MaxBytes {
			return nil, nil, fmt.Errorf("the bodies are longer than %d MiB together", MaxBytes>>20)
		}
		resp, err := x.response()
		if err != nil {
			return nil, nil, fmt.Errorf("%d: %s %.200q: %w", i+1, x.method, x.url, err)
		}
		responses = append(responses, resp)
	}
	if len(exchanges) == 0 {
		return nil, nil, errors.New("nothing is recorded in the file")
	}
	return responses, leftOut, nil
}

// An exchange is a request and its response, as a file has them.
type exchange struct {
	method, url, host string
	reqHeader         http.Header
	sent              string // the body of the request
	proto, status     string // as in "h2" and "200 OK"; they may be empty
	code              int
	header, trailer   http.Header
	body              string
	chunked           bool
	stream            bool // the length was not known
	decoded           bool // net/http had decoded the body
	neverCoded        bool // the tool decodes the body and leaves the header as it is
	leftOut           string
}

func (x *exchange) response() (*http.Response, error) {
	req, err := x.request()
	if err != nil {
		return nil, err
	}
	if x.code < 200 || x.code > 999 {
		return nil, fmt.Errorf("%d is not the status of a response", x.code)
	}
	if err := checkNames(x.header, x.trailer); err != nil {
		return nil, err
	}
	x.undoCoding()
	status := strings.TrimSpace(x.status)
	if status == strconv.Itoa(x.code) || !utf8.ValidString(status) || strings.ContainsFunc(status, unicode.IsControl) {
		status = "" // the usual text
	}
	resp := &http.Response{
		Status: status, StatusCode: x.code, Proto: protocol(x.proto),
		Header: x.header, Trailer: x.trailer, Body: io.NopCloser(strings.NewReader(x.body)), ContentLength: int64(len(x.body)),
		Uncompressed: x.decoded, Request: req,
	}
	if x.chunked {
		resp.TransferEncoding = []string{"chunked"}
	}
	if x.chunked || x.stream || x.decoded {
		resp.ContentLength = -1
	}
	return resp, nil
}

func (x *exchange) request() (*http.Request, error) {
	if !rules.IsToken(x.method) {
		return nil, errors.New("it has no method")
	}
	u, err := url.Parse(x.url)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, errors.New("it has no URL with http or https")
	}
	if err := checkNames(x.reqHeader); err != nil {
		return nil, err
	}
	u.Fragment, u.RawFragment = "", ""
	req := &http.Request{Method: x.method, URL: u, Host: u.Host, Header: x.reqHeader, Body: http.NoBody}
	host := x.host
	if host == "" {
		host = x.reqHeader.Get("Host")
	}
	x.reqHeader.Del("Host") // net/http keeps it in Request.Host
	defaultPort := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]
	if host != "" && !strings.EqualFold(strings.TrimSuffix(host, defaultPort), strings.TrimSuffix(u.Host, defaultPort)) {
		req.Host = host
	}
	if x.sent != "" {
		req.Body, req.ContentLength = io.NopCloser(strings.NewReader(x.sent)), int64(len(x.sent))
	}
	return req, nil
}

// checkNames returns an error if a name of a header field is not one.
func checkNames(headers ...http.Header) error {
	for _, h := range headers {
		for name := range h {
			if !rules.IsToken(name) {
				return fmt.Errorf("%.200q is not the name of a header field", name)
			}
		}
	}
	return nil
}

// undoCoding removes the Content-Encoding if the tool has decoded the body.
func (x *exchange) undoCoding() {
	coding := strings.ToLower(strings.TrimSpace(x.header.Get("Content-Encoding")))
	if coding == "" || x.body == "" || x.isCoded(coding) {
		return
	}
	x.header.Del("Content-Encoding")
	x.decoded = x.decoded || coding == "gzip" || coding == "x-gzip"
}

// isCoded reports whether the body still has its coding. A body in Brotli or deflate is hardly ever valid UTF-8.
func (x *exchange) isCoded(coding string) bool {
	switch coding {
	case "gzip", "x-gzip":
		return strings.HasPrefix(x.body, "\x1f\x8b")
	case "zstd":
		return strings.HasPrefix(x.body, "\x28\xb5\x2f\xfd")
	}
	return !x.neverCoded && !utf8.ValidString(x.body)
}

// protocol returns the version of HTTP as net/http names it. Browsers write h2, http/2.0, HTTP/2 or http/2.0+quic/46.
func protocol(s string) string {
	version := strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(strings.TrimSpace(s)), "http/"), "h")
	switch {
	case version == "1.0":
		return "HTTP/1.0"
	case strings.HasPrefix(version, "2"):
		return "HTTP/2.0"
	case strings.HasPrefix(version, "3"):
		return "HTTP/3.0"
	}
	return "HTTP/1.1"
}
