package rules

import "testing"

// TestStatusCodes checks for all status codes which of them the functions about a status know.
func TestStatusCodes(t *testing.T) {
	known := codes(400, 417, 500, 505) // RFC 9110, sections 15.3 to 15.6
	for _, status := range []int{200, 201, 202, 203, 204, 205, 206, 300, 301, 302, 303, 304, 305, 307, 308, 421, 422, 426} {
		known[status] = true
	}
	failed := codes(500, 999)
	failed[429] = true
	for _, tt := range []struct {
		name     string
		function func(int) bool
		want     map[int]bool
	}{
		{"ServerFailed", ServerFailed, map[int]bool{500: true, 502: true, 503: true, 504: true}}, // RFC 5861, section 4
		{"Failed", Failed, failed},
		{"knownStatus", knownStatus, known},
		{"HeuristicallyCacheable", HeuristicallyCacheable, map[int]bool{200: true, 203: true, 204: true, 206: true, 300: true, 301: true, 308: true,
			404: true, 405: true, 410: true, 414: true, 501: true}}, // RFC 9110, section 15.1
		{"about credentials", func(status int) bool { return credentials(status) != "" }, map[int]bool{401: true, 407: true}},
		{"OnlyForRequest", func(status int) bool { return OnlyForRequest(status, false) != ReasonNone }, map[int]bool{206: true, 416: true}},
		{"OnlyForRequest with a condition", func(status int) bool { return OnlyForRequest(status, true) != ReasonNone },
			map[int]bool{206: true, 412: true, 416: true}},
	} {
		for status := range 1000 {
			if got := tt.function(status); got != tt.want[status] {
				t.Errorf("%s of %d = %t, want %t", tt.name, status, got, tt.want[status])
			}
		}
	}
	for status, want := range map[int]Reason{206: PartialUnusable, 416: PartialUnusable, 412: PreconditionForwarded} {
		if got := OnlyForRequest(status, true); got != want {
			t.Errorf("OnlyForRequest(%d, true) = %v, want %v", status, got, want)
		}
	}
}

// codes returns the status codes in ranges of which each has a first and a last.
func codes(ranges ...int) map[int]bool {
	set := make(map[int]bool)
	for i := 0; i < len(ranges); i += 2 {
		for status := ranges[i]; status <= ranges[i+1]; status++ {
			set[status] = true
		}
	}
	return set
}
