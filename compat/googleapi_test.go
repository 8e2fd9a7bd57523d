package compat

import (
	"context"
	"encoding/json"
	"io"
	"net/http"

	"google.golang.org/api/drive/v3"
	"google.golang.org/api/option"
)

var googleDrive = client{
	name:   "google-api-go-client, Drive",
	module: "google.golang.org/api",
	start: func(e *env) use {
		e.serve(func(w http.ResponseWriter, r *http.Request) {
			var file drive.File
			if r.Method == http.MethodPatch {
				if err := json.NewDecoder(r.Body).Decode(&file); err != nil {
					http.Error(w, err.Error(), http.StatusBadRequest)
					return
				}
				e.set(file.Name)
			}
			if r.URL.Query().Get("alt") == "media" {
				io.WriteString(w, e.get())
				return
			}
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(drive.File{Id: "1", Name: e.get()})
		}, nil, nil)
		c, err := drive.NewService(context.Background(), option.WithHTTPClient(e.cache.Client()), option.WithEndpoint(e.url))
		if err != nil {
			e.t.Fatal(err)
		}
		return use{
			read: func(ctx context.Context) (string, error) {
				file, err := c.Files.Get("1").Context(ctx).Do()
				if err != nil {
					return "", err
				}
				return file.Name, nil
			},
			open: func(ctx context.Context) (io.ReadCloser, error) {
				resp, err := c.Files.Get("1").Context(ctx).Download()
				if err != nil {
					return nil, err
				}
				return resp.Body, nil
			},
			write: func(ctx context.Context, text string) error {
				_, err := c.Files.Update("1", &drive.File{Name: text}).Context(ctx).Do()
				return err
			},
		}
	},
}
