package compat

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// clients are the clients that TestClients tests.
var clients = []client{
	netHTTP,
	goGitHub,
	ghInstallation,
	oauth2OverCache,
	cacheOverOAuth2,
	retryOverCache,
	cacheOverRetry,
	restyClient,
	otelOverCache,
	cacheOverOtel,
	connectUnary,
	gofeedParser,
	collyCollector,
	goGit,
	containerRegistry,
	awsS3,
	googleDrive,
	kubernetes,
}

// netHTTP is the client of the standard library.
var netHTTP = client{
	name: "net/http",
	start: func(e *env) use {
		e.servePlain()
		return usePlain(e, e.cache)
	},
}

// servePlain makes the origin respond with the text, and change it for a PUT.
func (e *env) servePlain() {
	e.serve(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			text, _ := io.ReadAll(r.Body)
			e.set(string(text))
			return
		}
		io.WriteString(w, e.get())
	}, nil, nil)
}

// usePlain reads and writes the text of servePlain through an http.Client.
func usePlain(e *env, rt http.RoundTripper) use {
	return useRequests(e, (&http.Client{Transport: rt}).Do)
}

// useRequests reads and writes the text of servePlain with a function that sends a request.
func useRequests(e *env, do func(*http.Request) (*http.Response, error)) use {
	send := func(ctx context.Context, method, text string) (io.ReadCloser, error) {
		req, err := http.NewRequestWithContext(ctx, method, e.url+"/text", strings.NewReader(text))
		if err != nil {
			return nil, err
		}
		resp, err := do(req)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode != http.StatusOK {
			resp.Body.Close()
			return nil, fmt.Errorf("the response has the status %s", resp.Status)
		}
		return resp.Body, nil
	}
	u := use{
		open: func(ctx context.Context) (io.ReadCloser, error) { return send(ctx, http.MethodGet, "") },
		write: func(ctx context.Context, text string) error {
			body, err := send(ctx, http.MethodPut, text)
			if err != nil {
				return err
			}
			return body.Close()
		},
	}
	u.read = readAll(u.open)
	return u
}

// readAll returns a function that reads all of what open returns.
func readAll(open func(context.Context) (io.ReadCloser, error)) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		body, err := open(ctx)
		if err != nil {
			return "", err
		}
		defer body.Close()
		text, err := io.ReadAll(body)
		return string(text), err
	}
}
