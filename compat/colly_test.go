package compat

import (
	"context"

	"github.com/gocolly/colly/v2"
)

var collyCollector = client{
	name:   "colly",
	module: "github.com/gocolly/colly/v2",
	start: func(e *env) use {
		e.servePlain()
		return use{
			read: func(ctx context.Context) (text string, err error) {
				c := colly.NewCollector(colly.StdlibContext(ctx))
				c.WithTransport(e.cache)
				c.OnResponse(func(r *colly.Response) { text = string(r.Body) })
				return text, c.Visit(e.url + "/text")
			},
		}
	},
}
