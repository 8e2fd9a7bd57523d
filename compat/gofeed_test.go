package compat

import (
	"context"
	"fmt"
	"net/http"

	"github.com/mmcdole/gofeed"
)

var gofeedParser = client{
	name:   "gofeed",
	module: "github.com/mmcdole/gofeed",
	start: func(e *env) use {
		e.serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/rss+xml")
			fmt.Fprintf(w, `<?xml version="1.0"?><rss version="2.0"><channel><title>%s</title></channel></rss>`, e.get())
		}, nil, nil)
		return use{
			read: func(ctx context.Context) (string, error) {
				p := gofeed.NewParser() // not safe for concurrent use
				p.Client = e.cache.Client()
				feed, err := p.ParseURLWithContext(e.url+"/feed", ctx)
				if err != nil {
					return "", err
				}
				return feed.Title, nil
			},
		}
	},
}
