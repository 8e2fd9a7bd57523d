package compat

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/config"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	gitclient "github.com/go-git/go-git/v5/plumbing/transport/client"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/go-git/go-git/v5/storage/memory"
)

// goGit lists the references of a remote repository. The text is in their names.
var goGit = client{
	name:   "go-git",
	module: "github.com/go-git/go-git/v5",
	start: func(e *env) use {
		e.serve(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
			advertised := packp.NewAdvRefs()
			advertised.Prefix = [][]byte{[]byte("# service=git-upload-pack"), nil}
			i := 0
			for chunk := range slices.Chunk([]byte(e.get()), 200) {
				advertised.References[fmt.Sprintf("refs/heads/%06d/%s", i, chunk)] = plumbing.NewHash(strings.Repeat("1", 40))
				i++
			}
			advertised.Encode(w)
		}, nil, nil)
		gitclient.InstallProtocol("http", githttp.NewClient(e.cache.Client()))
		e.t.Cleanup(func() { gitclient.InstallProtocol("http", githttp.DefaultClient) })
		return use{
			read: func(ctx context.Context) (string, error) {
				remote := git.NewRemote(memory.NewStorage(), &config.RemoteConfig{Name: "origin", URLs: []string{e.url + "/octo/spoon"}})
				refs, err := remote.ListContext(ctx, &git.ListOptions{})
				if err != nil {
					return "", err
				}
				var names []string
				for _, ref := range refs {
					names = append(names, ref.Name().String())
				}
				slices.Sort(names)
				text := ""
				for _, name := range names {
					text += name[strings.LastIndex(name, "/")+1:]
				}
				return text, nil
			},
		}
	},
}
