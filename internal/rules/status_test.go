package rules

import "testing"

func TestServerFailed(t *testing.T) {
	failed := map[int]bool{500: true, 502: true, 503: true, 504: true} // RFC 5861, section 4
	for status := range 600 {
		if got := ServerFailed(status); got != failed[status] {
			t.Errorf("ServerFailed(%d) = %v, want %v", status, got, failed[status])
		}
	}
}
