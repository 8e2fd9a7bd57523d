package conformance

// exclusions are the tests that ask for what an RFC decides otherwise, or cannot be met by a correct client. One that
// passes fails the run, so that the list cannot outlive its reasons.
var exclusions = []exclusion{
	{
		id: "headers-store-Transfer-Encoding",
		reason: "the origin sends a transfer coding of the test's invention, and no client can find the end of such a " +
			"message: net/http refuses it (RFC 9112, sections 6.1 and 6.3)",
	},
}
