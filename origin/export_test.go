package origin

// For tests.
var (
	ParseETags = parseETags
	IsETag     = isETag
)
