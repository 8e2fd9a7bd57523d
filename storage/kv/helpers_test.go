package kv_test

import (
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
)

var (
	get      = storetest.Get
	mustGet  = storetest.MustGet
	wantMiss = storetest.WantMiss
)
