package rules

// EachDirective calls yield for each member of a Cache-Control field, in order, with its name in
// lower case and the whole member as it was written. The name of a member that is not well formed
// is the token at its start, which may be empty.
func EachDirective(lines []string, yield func(name, member string)) {
	eachMember(lines, func(member string, _ bool) { yield(parseDirective(member).name, member) })
}
