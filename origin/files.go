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

// Files is http.FileServerFS with an ETag for every file, so that conditional requests and If-Range work to less
// than a second. A file's tag is made of its size and modification time. One whose time is not known, as in an
// embed.FS, is hashed, once: such a file does not change while the program runs.
func Files(fsys fs.FS) http.Handler {
	f := &files{fsys: fsys, next: http.FileServerFS(fsys)}
	return f
}

type files struct {
	fsys fs.FS
	next http.Handler

	hashed sync.Map // func() ETag, by name
}

func (f *files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		writeError(w, http.StatusMethodNotAllowed, "files can be read only")
		return
	}
	name, tag := f.tag(r.URL.Path)
	if tag == "" {
		f.next.ServeHTTP(w, r)
		return
	}
	if file, err := f.fsys.Open(name); err == nil {
		defer file.Close()
		// http.FileServerFS would wrap a file of the system's, which then could not be sent with sendfile.
		if file, ok := file.(*os.File); ok {
			if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
				http.ServeContent(tagged(w, cmp.Or(timeETag(info), tag)), r, info.Name(), info.ModTime(), file)
				return
			}
		}
	}
	serve(f.next, tagged(w, tag), r)
}

// tagged sets the tag of a file, where http.ServeContent reads it, and returns the writer for the file.
func tagged(w http.ResponseWriter, tag ETag) *writer {
	v := Validators{ETag: tag}
	v.set(w.Header())
	return withoutTags(w, v)
}

// tag returns the file that http.FileServerFS serves for a URL's path, and its tag; "" where it answers with
// something else than a file.
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

// timeETag returns the tag of a file by its modification time and size; "" where the time is not known.
func timeETag(info fs.FileInfo) ETag {
	v := Validators{LastModified: info.ModTime()}
	if !v.hasDate() {
		return ""
	}
	return newETag(strconv.FormatInt(v.LastModified.UnixNano(), 36)+"-"+strconv.FormatInt(info.Size(), 36), false)
}

// hash returns the tag of a file by its contents, or "" if it cannot be read.
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
