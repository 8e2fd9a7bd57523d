package origin

import (
	"cmp"
	"crypto/sha256"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strconv"
	"strings"
	"sync"
)

// Files returns a handler like http.FileServerFS that sets an ETag for every file. Conditional requests and If-Range
// then detect changes within the same second. The tag of a file consists of its size and modification time. If the time
// is not known, as in an embed.FS, the tag is a hash of the contents. It is computed once, because such a file is
// assumed not to change while the program runs.
func Files(fsys fs.FS) http.Handler {
	f := &files{fsys: fsys, next: http.FileServerFS(fsys)}
	return f
}

type files struct {
	fsys fs.FS
	next http.Handler

	hashed sync.Map // name to func() ETag
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeError(w, http.StatusMethodNotAllowed, "only GET and HEAD are allowed")
		return
	}
	name, tag := f.tag(r.URL.Path)
	if tag == "" {
		f.next.ServeHTTP(w, r)
		return
	}
	if file, err := f.fsys.Open(name); err == nil {
		defer file.Close()
		// http.FileServerFS wraps an *os.File, so that it cannot be sent with sendfile.
		if file, ok := file.(*os.File); ok {
			if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
				http.ServeContent(tagged(w, cmp.Or(timeETag(info), tag)), r, info.Name(), info.ModTime(), file)
				return
			}
		}
	}
	serve(f.next, tagged(w, tag), r)
}

// tagged sets the ETag in the header of w, which http.ServeContent reads, and returns the writer for the file.
func tagged(w http.ResponseWriter, tag ETag) *writer {
	v := Validators{ETag: tag}
	v.set(w.Header())
	return withoutTags(w, v)
}

// tag returns the name and the tag of the file that http.FileServerFS serves for a URL's path. The tag is empty if
// http.FileServerFS does not serve a file for it, or if the file cannot be read.
func (f *files) tag(urlPath string) (string, ETag) {
	if strings.HasSuffix(urlPath, "/index.html") {
		return "", "" // a redirect to the directory
	}
	name := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if strings.HasSuffix(urlPath, "/") || name == "" {
		name = path.Join(name, "index.html")
	}
	info, err := fs.Stat(f.fsys, name)
	if err != nil || !info.Mode().IsRegular() {
		return "", ""
	}
	if tag := timeETag(info); tag != "" {
		return name, tag
	}
	once, ok := f.hashed.Load(name)
	if !ok {
		once, _ = f.hashed.LoadOrStore(name, sync.OnceValue(func() ETag { return f.hash(name) }))
	}
	return name, once.(func() ETag)()
}

// timeETag returns the tag of a file made of its modification time and size, or "" if the time is not known.
func timeETag(info fs.FileInfo) ETag {
	v := Validators{LastModified: info.ModTime()}
	if !v.hasDate() {
		return ""
	}
	return newETag(strconv.FormatInt(v.LastModified.UnixNano(), 36)+"-"+strconv.FormatInt(info.Size(), 36), false)
}

// hash returns the tag of a file made of its contents, or "" if it cannot be read.
func (f *files) hash(name string) ETag {
	file, err := f.fsys.Open(name)
	if err != nil {
		return ""
	}
	defer file.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, file); err != nil {
		return ""
	}
	return sumETag(sum, false)
}
