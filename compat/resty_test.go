package compat

import (
	"context"
	"errors"
	"io"

	"github.com/go-resty/resty/v2"
)

var restyClient = client{
	name:   "resty",
	module: "github.com/go-resty/resty/v2",
	start: func(e *env) use {
		e.servePlain()
		c := resty.New().SetTransport(e.cache).SetBaseURL(e.url)
		return use{
			read: func(ctx context.Context) (string, error) {
				resp, err := c.R().SetContext(ctx).Get("/text")
				return resp.String(), errors.Join(err, restyError(resp))
			},
			open: func(ctx context.Context) (io.ReadCloser, error) {
				resp, err := c.R().SetContext(ctx).SetDoNotParseResponse(true).Get("/text")
				return resp.RawBody(), err
			},
			write: func(ctx context.Context, text string) error {
				resp, err := c.R().SetContext(ctx).SetBody(text).Put("/text")
				return errors.Join(err, restyError(resp))
			},
		}
	},
}

func restyError(resp *resty.Response) error {
	if resp.IsError() {
		return errors.New("the response has the status " + resp.Status())
	}
	return nil
}
