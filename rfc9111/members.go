package rfc9111

// EachDirective calls yield for each member of a Cache-Control field, in order: its name in lower case, and all of it as
// it was written. What is not well formed has the name that it seems to have, and may have none.
func EachDirective(lines []string, yield func(name, member string)) {
	eachMember(lines, func(member string, _ bool) { yield(parseDirective(member).name, member) })
}
