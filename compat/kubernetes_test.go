package compat

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/discovery/cached/disk"
	"k8s.io/client-go/rest"
)

// kubernetes is the discovery client, which has a cache of its own in files. The cache below it takes the place of the
// HTTP cache that client-go has for this purpose.
var kubernetes = client{
	name:   "client-go, discovery",
	module: "k8s.io/client-go",
	start: func(e *env) use {
		e.serve(e.kubernetes, func(r *http.Request) bool { return r.URL.Path == "/apis/example.com/v1" }, nil)
		config := &rest.Config{Host: e.url, Transport: e.wire, QPS: -1}
		config.Wrap(func(rt http.RoundTripper) http.RoundTripper {
			e.cache.Base = rt
			return e.cache
		})
		c, err := disk.NewCachedDiscoveryClientForConfig(config, e.t.(*testing.T).TempDir(), "", 0)
		if err != nil {
			e.t.Fatal(err)
		}
		var mu sync.Mutex // Invalidate is for all readers
		return use{read: func(ctx context.Context) (string, error) {
			mu.Lock()
			defer mu.Unlock()
			c.InvalidateWithContext(ctx)
			list, err := c.ServerResourcesForGroupVersionWithContext(ctx, "example.com/v1")
			if err != nil {
				return "", err
			}
			if len(list.APIResources) != 1 {
				return "", errors.New("there is not exactly one resource")
			}
			return list.APIResources[0].Name, nil
		}}
	},
}

// kubernetes serves a group of resources. The only resource in it has the text as its name.
func (e *env) kubernetes(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	version := metav1.GroupVersionForDiscovery{GroupVersion: "example.com/v1", Version: "v1"}
	switch r.URL.Path {
	case "/api":
		json.NewEncoder(w).Encode(metav1.APIVersions{TypeMeta: metav1.TypeMeta{Kind: "APIVersions", APIVersion: "v1"}})
	case "/apis":
		json.NewEncoder(w).Encode(metav1.APIGroupList{
			TypeMeta: metav1.TypeMeta{Kind: "APIGroupList", APIVersion: "v1"},
			Groups: []metav1.APIGroup{{
				Name: "example.com", Versions: []metav1.GroupVersionForDiscovery{version}, PreferredVersion: version,
			}},
		})
	case "/apis/example.com/v1":
		json.NewEncoder(w).Encode(metav1.APIResourceList{
			TypeMeta:     metav1.TypeMeta{Kind: "APIResourceList", APIVersion: "v1"},
			GroupVersion: "example.com/v1",
			APIResources: []metav1.APIResource{{Name: e.get(), Kind: "Text"}},
		})
	default:
		http.NotFound(w, r)
	}
}
