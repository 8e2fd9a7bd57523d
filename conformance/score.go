package conformance

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// A mode is the kind of cache that the suite tests.
type mode string

const (
	shared  mode = "shared"
	private mode = "private" // the suite's browser mode
)

// The kinds of tests.
const (
	required = "required"
	optimal  = "optimal"
	check    = "check" // has no wrong answer
)

// An outcome is a result of the suite's determineTestResult for a test. It depends on the test's own result and on
// those of the tests it depends on. If one of these did not pass, the test did not pass either.
type outcome string

const (
	pass           outcome = "pass"
	fail           outcome = "fail"
	optionalFail   outcome = "optional_fail"
	yes            outcome = "yes"
	no             outcome = "no"
	setupFail      outcome = "setup_fail"      // a precondition of the test was not met
	harnessFail    outcome = "harness_fail"    // timed out
	dependencyFail outcome = "dependency_fail" // a test it depends on did not pass
	retry          outcome = "retry"           // a request reached the origin twice
	untested       outcome = "untested"        // no result
)

// outcomes are the possible outcomes by kind of test.
var outcomes = map[string][]outcome{
	required: {pass, fail, setupFail, harnessFail, dependencyFail, retry, untested},
	optimal:  {pass, optionalFail, setupFail, harnessFail, dependencyFail, retry, untested},
	check:    {yes, no, setupFail, harnessFail, dependencyFail, retry, untested},
}

// result is the result of one test.
type result struct {
	ID      string  `json:"id"`
	Name    string  `json:"name"`
	Kind    string  `json:"kind"`
	Outcome outcome `json:"outcome"`
	Message string  `json:"message"`
}

// report is the output of runner.mjs for one run.
type report struct {
	Tests   int      `json:"tests"` // in the whole suite, whatever the mode
	Results []result `json:"results"`
}

// tally holds the counts of the tests of one kind.
type tally struct{ passed, total int }

func (t tally) String() string { return fmt.Sprintf("%d of %d", t.passed, t.total) }

// count tallies results by kind.
func count(results []result) map[string]tally {
	counts := make(map[string]tally)
	for _, r := range results {
		t := counts[r.Kind]
		t.total++
		if r.Outcome == pass || r.Outcome == yes {
			t.passed++
		}
		counts[r.Kind] = t
	}
	return counts
}

// cut is a version of the suite.
type cut struct {
	name string
	want map[mode]map[string]int // the number of tests by mode and kind
}

// cuts are the known cuts of the suite by their number of tests. Their version does not identify them, because those of
// the repository are still named 0.4.5.
var cuts = map[int]cut{
	334: {
		name: "http-cache-tests 0.4.5",
		want: map[mode]map[string]int{
			shared:  {required: 157, optimal: 86, check: 86},
			private: {required: 147, optimal: 68, check: 79},
		},
	},
	370: {
		name: "http-tests/cache-tests, July 2026",
		want: map[mode]map[string]int{
			shared:  {required: 160, optimal: 105, check: 100},
			private: {required: 137, optimal: 77, check: 86},
		},
	},
}

// exclusion is a required or optimal test that is expected not to pass.
type exclusion struct {
	id     string
	cuts   []int  // the cuts of the suite, by number of tests; nil means all of them
	modes  []mode // nil means both
	reason string // with the section of the RFC
}

func (e exclusion) covers(tests int, m mode) bool {
	return (e.cuts == nil || slices.Contains(e.cuts, tests)) && (e.modes == nil || slices.Contains(e.modes, m))
}

// inconclusive returns the tests that could not be carried out, and those that depend on them: the cache has neither
// passed nor failed them. It leaves out the exclusions.
func inconclusive(m mode, rep report, exclusions []exclusion) []string {
	var ids []string
	for _, r := range rep.Results {
		excluded := slices.ContainsFunc(exclusions, func(e exclusion) bool { return e.id == r.ID && e.covers(rep.Tests, m) })
		if !excluded && (r.Outcome == setupFail || r.Outcome == harnessFail) {
			ids = append(ids, r.ID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	for _, r := range rep.Results {
		if r.Outcome == dependencyFail {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// replace replaces the results of these tests with those of another run.
func (rep *report) replace(other report, ids []string) {
	for _, r := range other.Results {
		i := slices.IndexFunc(rep.Results, func(old result) bool { return old.ID == r.ID })
		if i >= 0 && slices.Contains(ids, r.ID) {
			rep.Results[i] = r
		}
	}
}

// problems returns the problems of a run. A run has none only if it ran every test of the mode, every required and
// optimal test passed except the exclusions, and all exclusions failed.
func problems(m mode, rep report, exclusions []exclusion) []string {
	var found []string
	problem := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }

	suite, known := cuts[rep.Tests]
	if !known {
		problem("a suite of %d tests is not known: add how many tests of each kind it has", rep.Tests)
	}
	counts := count(rep.Results)
	for kind, want := range suite.want[m] {
		if got := counts[kind].total; got != want {
			problem("%d %s tests were run, not %d", got, kind, want)
		}
	}

	excluded := make(map[string]exclusion)
	for _, e := range exclusions {
		if e.covers(rep.Tests, m) {
			excluded[e.id] = e
		}
	}
	seen := make(map[string]bool)
	for _, r := range rep.Results {
		if seen[r.ID] {
			problem("%s was run twice", r.ID)
		}
		seen[r.ID] = true
		_, isExcluded := excluded[r.ID]
		if p := r.problem(isExcluded); p != "" {
			problem("%s", p)
		}
	}
	for id, e := range excluded {
		if !seen[id] {
			problem("%s is excluded (%s), but there is no such test", id, e.reason)
		}
	}
	slices.Sort(found)
	return found
}

// problem returns the problem of a result, or "".
func (r result) problem(isExcluded bool) string {
	switch {
	case !slices.Contains(outcomes[r.Kind], r.Outcome):
		return fmt.Sprintf("%s: a test of kind %q with outcome %q", r.ID, r.Kind, r.Outcome)
	case r.Outcome == untested:
		return r.ID + " was not run"
	case r.Kind == check:
		if isExcluded {
			return r.ID + " is excluded, but a check cannot fail"
		}
	case r.Outcome == pass:
		if isExcluded {
			return r.ID + " is excluded, but passes"
		}
	case !isExcluded:
		return fmt.Sprintf("%s (%s): %s: %s", r.ID, r.Kind, r.Outcome, cmp.Or(r.Message, "no message"))
	}
	return ""
}

// row is a row of the table.
type row struct {
	cache, store string
	mode         mode
	counts       map[string]tally
}

// table returns the rows as Markdown.
func table(rows []row) string {
	var b strings.Builder
	b.WriteString("| cache | mode | store | required | optimal | checks answered yes |\n")
	b.WriteString("|---|---|---|---|---|---|\n")
	for _, r := range rows {
		fmt.Fprintf(&b, "| %s | %s | %s | %v | %v | %v |\n",
			r.cache, r.mode, r.store, r.counts[required], r.counts[optimal], r.counts[check])
	}
	return b.String()
}

// reasons returns the exclusions from a suite with this number of tests as Markdown.
func reasons(tests int, exclusions []exclusion) string {
	var b strings.Builder
	b.WriteString("| excluded | mode | reason |\n|---|---|---|\n")
	for _, e := range exclusions {
		var modes []string
		for _, m := range []mode{shared, private} {
			if e.covers(tests, m) {
				modes = append(modes, string(m))
			}
		}
		if len(modes) > 0 {
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", e.id, strings.Join(modes, ", "), e.reason)
		}
	}
	return b.String()
}

// answers returns the results of the checks as Markdown, with one column for each mode. If stores differ in a result,
// all of their results are shown. The questions are in the suite and are not repeated.
func answers(reports map[mode][]report) string {
	type question struct{ shared, private string }
	questions := make(map[string]*question)
	var ids []string
	for _, m := range []mode{shared, private} {
		for _, rep := range reports[m] {
			for _, r := range rep.Results {
				if r.Kind != check {
					continue
				}
				q := questions[r.ID]
				if q == nil {
					q = &question{}
					questions[r.ID] = q
					ids = append(ids, r.ID)
				}
				answer := &q.shared
				if m == private {
					answer = &q.private
				}
				text := strings.ReplaceAll(string(r.Outcome), "_", " ")
				if !slices.Contains(strings.Split(*answer, ", "), text) {
					*answer = strings.TrimPrefix(*answer+", "+text, ", ")
				}
			}
		}
	}

	var b strings.Builder
	b.WriteString("| check | shared | private |\n|---|---|---|\n")
	for _, id := range ids {
		q := questions[id]
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", id, cmp.Or(q.shared, "-"), cmp.Or(q.private, "-"))
	}
	return b.String()
}
