package otel_test

import (
	"fmt"

	sdk "go.opentelemetry.io/otel/sdk/metric"

	"github.com/go-cachecontrol/cachecontrol"
	cacheotel "github.com/go-cachecontrol/cachecontrol/otel"
)

func ExampleRegister() {
	provider := sdk.NewMeterProvider() // with a reader that exports
	cache := &cachecontrol.Transport{}
	defer cache.Close()
	registration, err := cacheotel.Register(provider, cache)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer registration.Unregister()
}
