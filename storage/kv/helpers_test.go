package kv_test

import (
	"github.com/go-cachecontrol/cachecontrol/internal/storetest"
)

var (
	put      = storetest.Put
	get      = storetest.Get
	mustGet  = storetest.MustGet
	wantMiss = storetest.WantMiss
	entryOf  = storetest.EntryOf
)
