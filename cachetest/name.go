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

// Names hold only what every file system and Go's module archives allow. What a name cannot say is in a hash behind an
// "@", which nothing else in it is. Names of files do not differ in case alone; where those of tests do, openTape says so.
const (
	extension   = ".http"
	maxFileName = 80  // without the hash, a number and the extension
	maxDirName  = 100 // of all elements together, without the hash
)

// testDir is the directory of a test's recordings: an element for each part of its name.
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

// fileName is the name of a recording, without number and extension: method, host and path, and a hash of key where
// they are not all of it.
func (o *options) fileName(r *request, key string) string {
	text := r.url
	whole := false
	if u, err := url.Parse(normalURL(r.url)); err == nil && u.Opaque == "" {
		text = u.Host + strings.TrimSuffix(u.EscapedPath(), "/")
		// It is all of the key if a request for just this has the same one.
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

// operation is the name that a GraphQL request gives itself, if it is one.
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

// hash is short enough for a name, and long enough for the requests of a test.
func hash(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:4])
}

// numbered is the name of the file of the nth recording of a request.
func numbered(name string, n int) string {
	if n > 1 {
		name += "@" + strconv.Itoa(n)
	}
	return name + extension
}

// A number is shorter than a hash.
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
