package cachetest

import (
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// Names of files have only characters that every file system and Go's module archives allow. If that loses a difference, a
// hash follows after "@", which is used for nothing else. Names of files never differ only in case. If names of tests do,
// openTape fails the test.
const (
	extension   = ".http"
	maxFileName = 80  // without hash, number and extension
	maxDirName  = 100 // of all elements, without the hash
)

// testDir returns the directory of a test's recordings. Each part of the test's name is an element of it.
func testDir(test string) string {
	elements := strings.Split(test, "/")
	for i, e := range elements {
		name := cleanElement(e)
		if name != e || reserved.MatchString(e) {
			name += "@" + hash(e)
		}
		elements[i] = name
	}
	dir := path.Join(elements...)
	if len(dir) <= maxDirName {
		return dir
	}
	return strings.TrimRight(dir[:maxDirName-9], "/@.") + "@" + hash(test)
}

var (
	unclean  = regexp.MustCompile(`[^A-Za-z0-9_.,=+#-]`)
	reserved = regexp.MustCompile(`(?i)^(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?$`)
)

func cleanElement(s string) string {
	s = strings.TrimRight(unclean.ReplaceAllString(s, "_"), ".")
	if s == "" {
		return "_"
	}
	return s
}

var (
	plainName = regexp.MustCompile(`^[a-z0-9/.-]*$`)
	unnamed   = regexp.MustCompile(`[^a-z0-9.-]+`)
)

// fileName returns the name of a recording without number and extension. It has the method, the host and the path, and a
// hash of the key if there is more in it.
func (o *options) fileName(r *request, key string) string {
	text := r.url
	whole := false
	if u, err := url.Parse(normalURL(r.url)); err == nil && u.Opaque == "" {
		text = u.Host + strings.TrimSuffix(u.EscapedPath(), "/")
		// The name is complete if a request with nothing else has the same key.
		bare := &request{method: r.method, url: "https://" + text}
		whole = plainName.MatchString(text) && strings.TrimRight(text, ".") == text && o.key(bare) == key
		text += "_" + u.RawQuery + "_" + operation(r.body)
	}
	method := strings.Trim(unnamed.ReplaceAllString(strings.ToLower(r.method), "_"), "_.")
	whole = whole && strings.ToUpper(method) == r.method
	name := strings.ToUpper(method) + "_" + strings.Trim(unnamed.ReplaceAllString(strings.ToLower(text), "_"), "_")
	if len(name) > maxFileName {
		name, whole = name[:maxFileName], false
	}
	if name = strings.TrimRight(name, "._"); !whole {
		name += "@" + hash(key)
	}
	return name
}

var named = regexp.MustCompile(`^\s*(?:query|mutation|subscription)\s+(\w+)`)

// operation returns the name of the operation of a GraphQL request, or "".
func operation(body []byte) string {
	v, _ := parseJSON(body)
	members, _ := v.(map[string]any)
	if name, _ := members["operationName"].(string); name != "" {
		return name
	}
	query, _ := members["query"].(string)
	if m := named.FindStringSubmatch(query); m != nil {
		return m[1]
	}
	return ""
}

// hash returns a hash that tells the requests of a test apart.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// numbered returns the name of the file of the nth recording of a request.
func numbered(name string, n int) string {
	if n > 1 {
		name += "@" + strconv.Itoa(n)
	}
	return name + extension
}

// number matches the number of a recording, which is shorter than a hash.
var number = regexp.MustCompile(`@([0-9]{1,7})$`)

// splitNumbered is the reverse of numbered.
func splitNumbered(file string) (name string, n int) {
	name = strings.TrimSuffix(file, extension)
	if m := number.FindStringSubmatch(name); m != nil {
		n, _ = strconv.Atoi(m[1])
		return strings.TrimSuffix(name, m[0]), n
	}
	return name, 1
}
