// Package similar finds the word that a misspelled word is meant to be.
package similar

// Word returns the word that is most similar to name, or "" if none is: at most one change for each
// six bytes of the word, or one in shorter words. A change is a byte that is inserted, removed or
// replaced, or two that are exchanged.
func Word(name string, words []string) string {
	if len(name) > maxLength {
		return ""
	}
	found, least := "", maxLength
	for _, word := range words {
		if n := distance(name, word); n < least && n <= max(1, len(word)/6) && n < len(name) {
			found, least = word, n
		}
	}
	return found
}

// maxLength is the length of the longest word that is compared.
const maxLength = 40

// distance returns the number of changes between a and b (the optimal string alignment distance).
func distance(a, b string) int {
	before, last, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j]+cost, row[j]+1, last[j+1]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(b)]
}
