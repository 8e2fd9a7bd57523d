package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// proxy is a proxy in front of a server.
type proxy struct{ *toxiproxy.Proxy }

// startProxy starts a proxy in front of the server at addr. The caller must stop it.
func startProxy(name, addr string) (proxy, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // some toxics have loggers of their own
	p := toxiproxy.NewProxy(toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop()), name, "127.0.0.1:0", addr)
	return proxy{p}, p.Start()
}

// add adds a toxic of a kind to what is sent in a direction: "downstream" is what the server sends.
func (p proxy) add(kind, direction, attributes string) error {
	text := fmt.Sprintf(`{"name":"%s %s","type":%[1]q,"stream":%[2]q,"attributes":{%s}}`, kind, direction, attributes)
	_, err := p.Toxics.AddToxicJson(strings.NewReader(text))
	return err
}

// heal removes all toxics.
func (p proxy) heal() { p.Toxics.ResetToxics(context.Background()) }
