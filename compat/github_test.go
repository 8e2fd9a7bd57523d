package compat

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v88/github"
)

var goGitHub = client{
	name:   "go-github",
	module: "github.com/google/go-github/v88",
	start: func(e *env) use {
		e.serve(e.gitHub, nil, nil)
		return useGitHub(e, github.WithTransport(e.cache))
	},
}

// ghInstallation gets its tokens through the cache, too.
var ghInstallation = client{
	name:   "ghinstallation",
	module: "github.com/bradleyfalzon/ghinstallation/v2",
	start: func(e *env) use {
		const appID, installationID = 1, 2
		e.serve(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case r.URL.Path == "/app/installations/2/access_tokens":
				w.WriteHeader(http.StatusCreated)
				json.NewEncoder(w).Encode(map[string]any{"token": "secret", "expires_at": time.Now().Add(time.Hour)})
			case r.Header.Get("Authorization") != "token secret":
				http.Error(w, "no token", http.StatusUnauthorized)
			default:
				e.gitHub(w, r)
			}
		}, nil, nil)
		key := appKey()
		rt, err := ghinstallation.New(e.cache, appID, installationID, key)
		if err != nil {
			e.t.Fatal(err)
		}
		rt.BaseURL = e.url
		return useGitHub(e, github.WithTransport(rt))
	},
}

// gitHub serves a repository whose description is the text.
func (e *env) gitHub(w http.ResponseWriter, r *http.Request) {
	var repo github.Repository
	if r.Method == http.MethodPatch {
		if err := json.NewDecoder(r.Body).Decode(&repo); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		e.set(repo.GetDescription())
	}
	w.Header().Set("Vary", "Accept, Authorization")
	json.NewEncoder(w).Encode(map[string]string{"description": e.get()})
}

// useGitHub reads and edits the description of the repository.
func useGitHub(e *env, transport github.ClientOptionsFunc) use {
	api := e.url + "/"
	c, err := github.NewClient(transport, github.WithURLs(&api, &api))
	if err != nil {
		e.t.Fatal(err)
	}
	return use{
		read: func(ctx context.Context) (string, error) {
			repo, _, err := c.Repositories.Get(ctx, "octo", "spoon")
			return repo.GetDescription(), err
		},
		open: func(ctx context.Context) (io.ReadCloser, error) {
			req, err := c.NewRequest(ctx, http.MethodGet, "repos/octo/spoon", nil)
			if err != nil {
				return nil, err
			}
			resp, err := c.BareDo(req)
			if err != nil {
				return nil, err
			}
			return resp.Body, nil
		},
		write: func(ctx context.Context, text string) error {
			_, _, err := c.Repositories.Edit(ctx, "octo", "spoon", &github.Repository{Description: &text})
			return err
		},
	}
}

// appKey returns a private key for a GitHub App.
var appKey = sync.OnceValue(func() []byte {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
})
