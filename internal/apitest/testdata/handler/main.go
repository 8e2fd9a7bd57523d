// Handler is a server that says how its responses may be cached, and caches some itself.
package main

import (
	"context"
	"database/sql"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-cachecontrol/cachecontrol"
	"github.com/go-cachecontrol/cachecontrol/origin"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

type server struct{ db *sql.DB }

// validators are those of an article.
func (s *server) validators(r *http.Request) (origin.Validators, error) {
	var revision int
	var changed time.Time
	err := s.db.QueryRowContext(r.Context(), "SELECT revision, changed FROM article WHERE id = ?", r.PathValue("id")).Scan(&revision, &changed)
	if err == sql.ErrNoRows {
		return origin.Validators{Missing: true}, nil
	}
	return origin.Validators{ETag: origin.HashETag(false, r.PathValue("id"), fmt.Sprint(revision)), LastModified: changed}, err
}

func (s *server) get(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintln(w, "article", r.PathValue("id"))
}

func (s *server) put(w http.ResponseWriter, r *http.Request) {
	v, err := s.validators(r)
	if err != nil || origin.Check(w, r, v) {
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func routes(s *server) http.Handler {
	mux := http.NewServeMux()
	cached := origin.CacheControl("public, max-age=60, s-maxage=3600, stale-while-revalidate=60, stale-if-error=3600", origin.SuccessOrRedirect)
	var validated origin.ValidatorFunc = s.validators
	mux.Handle("GET /articles/{id}", cached(origin.Validate(validated)(http.HandlerFunc(s.get))))
	mux.Handle("PUT /articles/{id}", origin.RequirePrecondition(validated, http.MethodPut)(http.HandlerFunc(s.put)))
	mux.Handle("/assets/", origin.CacheControl("immutable")(origin.CacheFor(365*24*time.Hour)(origin.Files(os.DirFS(".")))))
	mux.Handle("/account", origin.NoStore(origin.Always)(http.HandlerFunc(s.get)))
	mux.Handle("/profile", origin.NoStoreForOldProxies(origin.Success)(http.HandlerFunc(s.get)))
	mux.Handle("QUERY /contacts", origin.AcceptQuery("application/json")(http.HandlerFunc(s.get)))
	mux.Handle("/search", origin.Vary("Accept-Language")(origin.AutoETag(origin.MaxBuffer(2*origin.DefaultMaxBuffer), origin.StrongTags())(http.HandlerFunc(s.get))))
	return mux
}

func main() {
	cache := origin.NewCache(storage.NewDictCache(),
		origin.Exempt(origin.PathPrefix("/account")), origin.IgnoreRequestDirectives(),
		origin.Configure(func(t *cachecontrol.Transport) { t.Collapse, t.RefreshAhead = true, 10*time.Second }))
	defer cache.Close()
	cache.SetGeneration("build 7")
	if err := cache.Invalidate(context.Background(), "https://example.com/articles/1"); err != nil {
		log.Print(err)
	}
	log.Fatal(http.ListenAndServe("localhost:8080", cache.Handler(routes(new(server)))))
}

// changed reports whether a request is for another version than tag.
func changed(r *http.Request, tag origin.ETag) bool {
	tags, star := origin.ParseETags(r.Header["If-Match"])
	for _, t := range tags {
		if t.StrongMatch(tag) || t.WeakMatch(tag) {
			return false
		}
	}
	other, err := origin.NewETag("7", true)
	switch verdict := origin.Evaluate(r, origin.Validators{ETag: other}); verdict {
	case origin.Proceed:
		return !star && err == nil
	case origin.NotModified, origin.Failed:
		log.Print(verdict)
	}
	return true
}
