package cassette

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// errOld is about a list of requests and responses without a version.
var errOld = errors.New("a cassette of VCR.py before version 1; convert it with 'python -m vcr.migration FILE' first")

// A file is a cassette of go-vcr (formats 1 and 2) or of VCR.py (format 1). Each tool has its own fields for the same things.
type file struct {
	Interactions []interaction
}

type interaction struct {
	Request struct {
		Method string
		URL    string
		URI    string // VCR.py
		Host   string
		Body   content
		Header fields `yaml:"headers"`
	}
	Response struct {
		Proto            string
		HTTPVersion      string `yaml:"http_version"` // VCR.py, for httpx
		Status           status
		Code             int
		StatusCode       int    `yaml:"status_code"` // VCR.py, for httpx
		Header           fields `yaml:"headers"`
		Trailer          fields
		Body             content
		Content          content  // VCR.py, for httpx
		TransferEncoding []string `yaml:"transfer_encoding"`
		ContentLength    int64    `yaml:"content_length"`
		Uncompressed     bool
	}
}

func readYAML(data []byte) ([]*exchange, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(data, &root); err != nil {
		return nil, err
	}
	return readNode(&root)
}

// readJSONCassette reads a cassette in JSON. A parser of YAML does not accept all escapes of JSON.
func readJSONCassette(data []byte) ([]*exchange, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	return readNode(jsonNode(value))
}

func jsonNode(value any) *yaml.Node {
	switch v := value.(type) {
	case map[string]any:
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		for name, member := range v {
			n.Content = append(n.Content, jsonNode(name), jsonNode(member))
		}
		return n
	case []any:
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for _, element := range v {
			n.Content = append(n.Content, jsonNode(element))
		}
		return n
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v}
	case json.Number:
		return &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
}

func readNode(root *yaml.Node) ([]*exchange, error) {
	top := root
	if top.Kind == yaml.DocumentNode && len(top.Content) > 0 {
		top = top.Content[0]
	}
	switch {
	case top.Kind == yaml.SequenceNode:
		return nil, errOld
	case top.Kind != yaml.MappingNode || member(top, "interactions") == nil:
		return nil, errors.New("neither a cassette of go-vcr or VCR.py nor a HAR file")
	}
	var f file
	if err := root.Decode(&f); err != nil {
		return nil, err
	}
	var exchanges []*exchange
	for i := range f.Interactions {
		exchanges = append(exchanges, f.Interactions[i].exchange())
	}
	return exchanges, nil
}

func (i *interaction) exchange() *exchange {
	q, r := &i.Request, &i.Response
	x := &exchange{
		method: strings.ToUpper(q.Method), url: q.URL + q.URI, host: q.Host, reqHeader: http.Header(q.Header), sent: string(q.Body),
		proto: r.Proto + r.HTTPVersion, status: r.Status.text, code: r.Status.code,
		header: http.Header(r.Header), trailer: http.Header(r.Trailer), body: string(r.Body + r.Content),
		chunked: len(r.TransferEncoding) > 0, stream: r.ContentLength < 0, decoded: r.Uncompressed,
	}
	for _, code := range []int{r.Code, r.StatusCode} {
		if code != 0 {
			x.code = code
		}
	}
	if x.code == http.StatusSwitchingProtocols {
		x.leftOut = "the connection is no longer HTTP"
	}
	return x
}

// A status is "200 OK" in go-vcr, and a mapping with code and message in VCR.py.
type status struct {
	code int
	text string
}

func (s *status) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		s.text = n.Value
		return nil
	}
	var m struct {
		Code    int
		Message string
	}
	if err := n.Decode(&m); err != nil {
		return err
	}
	s.code, s.text = m.Code, strconv.Itoa(m.Code)+" "+m.Message
	return nil
}

// A content is a body: a string, bytes in base64, or, in VCR.py, a mapping or a file of Python with one of these.
type content string

func (c *content) UnmarshalYAML(n *yaml.Node) error {
	for range 4 { // the depth of a file of Python
		n = target(n)
		switch {
		case n.Kind == yaml.ScalarNode:
			text, err := scalar(n)
			*c = content(text)
			return err
		case n.Kind == yaml.SequenceNode && len(n.Content) > 0:
			n = n.Content[0]
		case member(n, "string") != nil:
			n = member(n, "string")
		case member(n, "state") != nil:
			n = member(n, "state")
		case member(n, "base64_string") != nil:
			n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!binary", Value: member(n, "base64_string").Value, Line: n.Line}
		case len(n.Content) == 0:
			return nil
		default:
			return fmt.Errorf("line %d: this body cannot be read", n.Line)
		}
	}
	return fmt.Errorf("line %d: this body cannot be read", n.Line)
}

// fields are header fields: a mapping of names to a value or to a list of them.
type fields http.Header

func (f *fields) UnmarshalYAML(n *yaml.Node) error {
	h := http.Header{}
	if n = target(n); n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			values := []*yaml.Node{target(n.Content[i+1])}
			if values[0].Kind == yaml.SequenceNode {
				values = values[0].Content
			}
			for _, v := range values {
				value, err := scalar(target(v))
				if err != nil {
					return err
				}
				h.Add(target(n.Content[i]).Value, value)
			}
		}
	}
	*f = fields(h)
	return nil
}

// scalar returns the text or the bytes of a scalar.
func scalar(n *yaml.Node) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", fmt.Errorf("line %d: there must be a text", n.Line)
	case n.ShortTag() == "!!null":
		return "", nil
	case n.ShortTag() == "!!binary":
		b, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(n.Value), ""))
		if err != nil {
			return "", fmt.Errorf("line %d: not base64: %w", n.Line, err)
		}
		return string(b), nil
	}
	return n.Value, nil
}

// target returns the node that an alias refers to, or the node itself.
func target(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// member returns the value of a name in a mapping, or nil.
func member(n *yaml.Node, name string) *yaml.Node {
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == name {
			return target(n.Content[i+1])
		}
	}
	return nil
}
