package serialize_test

import (
	"fmt"
	"net/http"
	"time"

	"github.com/go-cachecontrol/cachecontrol/internal/checksum"
	"github.com/go-cachecontrol/cachecontrol/serialize"
	"github.com/go-cachecontrol/cachecontrol/storage"
)

func Example() {
	doc, err := serialize.Marshal(&storage.Entry{
		Status: 200, Reason: "OK", Version: 11,
		Header:       http.Header{"Content-Type": {"text/plain"}, "Link": {"<a>", "<b>"}},
		ResponseTime: time.Date(2024, 2, 29, 12, 0, 0, 0, time.UTC),
	}, []byte("hello"))
	if err != nil {
		fmt.Println(err)
		return
	}

	e, body, err := serialize.Unmarshal(doc)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(e.Status, e.Reason, e.Header["Link"], e.ResponseTime)
	fmt.Printf("%s %t\n", body, e.Sum == checksum.Sum(body))
	// Output:
	// 200 OK [<a> <b>] 2024-02-29 12:00:00 +0000 UTC
	// hello true
}
