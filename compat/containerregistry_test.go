package compat

import (
	"context"
	"io"
	"log"
	"net/http"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// containerRegistry has the text in the manifest of an image, and in its only layer.
var containerRegistry = client{
	name:   "go-containerregistry",
	module: "github.com/google/go-containerregistry",
	start: func(e *env) use {
		ref, err := name.NewTag(strings.TrimPrefix(e.url, "http://") + "/octo/spoon:latest")
		if err != nil {
			e.t.Fatal(err)
		}
		options := func(ctx context.Context, transport remote.Option) []remote.Option {
			backoff := remote.Backoff{Duration: time.Millisecond, Steps: 1}
			return []remote.Option{remote.WithContext(ctx), transport, remote.WithRetryBackoff(backoff)}
		}
		e.uncoded = true // it wants the length of the manifest in the response to HEAD
		push := func(ctx context.Context, transport remote.Option, text string) error {
			img, err := textImage(text)
			if err != nil {
				return err
			}
			return remote.Write(ref, img, options(ctx, transport)...)
		}
		cached := remote.WithTransport(e.cache)
		isText := func(r *http.Request) bool {
			return strings.Contains(r.URL.Path, "/manifests/") || strings.Contains(r.URL.Path, "/blobs/")
		}
		e.serve(registry.New(registry.Logger(log.New(io.Discard, "", 0))).ServeHTTP, isText, func(text string) {
			if err := push(context.Background(), remote.WithTransport(e.wire), text); err != nil {
				e.t.Error(err)
			}
		})
		return use{
			read: func(ctx context.Context) (string, error) {
				d, err := remote.Get(ref, options(ctx, cached)...)
				if err != nil {
					return "", err
				}
				m, err := v1.ParseManifest(strings.NewReader(string(d.Manifest)))
				if err != nil {
					return "", err
				}
				return m.Annotations["text"], nil
			},
			open: func(ctx context.Context) (io.ReadCloser, error) {
				digest, err := textLayer(e.get()).Digest()
				if err != nil {
					return nil, err
				}
				layer, err := remote.Layer(ref.Digest(digest.String()), options(ctx, cached)...)
				if err != nil {
					return nil, err
				}
				return layer.Compressed()
			},
			write: func(ctx context.Context, text string) error {
				err := push(ctx, cached, text)
				if err == nil {
					e.wrote(text)
				}
				return err
			},
		}
	},
}

// textImage returns an image with the text.
func textImage(text string) (v1.Image, error) {
	img, err := mutate.AppendLayers(empty.Image, textLayer(text))
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(img, map[string]string{"text": text}).(v1.Image), nil
}

func textLayer(text string) v1.Layer { return static.NewLayer([]byte(text), types.OCILayer) }
