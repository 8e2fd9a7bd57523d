package conformance

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// full is a run of the 0.4.5 suite in shared mode in which everything passes.
func full() report {
	rep := report{Tests: 334}
	for kind, n := range cuts[334].want[shared] {
		for i := range n {
			o := pass
			if kind == check {
				o = no // as good an answer as yes
			}
			rep.Results = append(rep.Results, result{ID: fmt.Sprintf("%s-%d", kind, i), Kind: kind, Outcome: o})
		}
	}
	return rep
}

func (r report) with(id string, o outcome) report {
	r.Results = slices.Clone(r.Results)
	for i := range r.Results {
		if r.Results[i].ID == id {
			r.Results[i].Outcome = o
			return r
		}
	}
	panic("no test " + id)
}

func TestProblems(t *testing.T) {
	ok := full()
	known := []exclusion{{id: "required-7", reason: "known"}}

	fewer := full()
	fewer.Results = slices.DeleteFunc(fewer.Results, func(r result) bool { return r.ID == "optimal-3" })
	twice := full()
	twice.Results[slices.IndexFunc(twice.Results, func(r result) bool { return r.ID == "check-3" })].ID = "check-4"
	oddKind := full()
	oddKind.Results = append(oddKind.Results, result{ID: "odd", Kind: "odd", Outcome: pass})
	other := full()
	other.Tests = 335

	for _, tt := range []struct {
		name       string
		rep        report
		mode       mode
		exclusions []exclusion
		want       []string // in the problems, in their order; none: a clean run
	}{
		{"everything passes", ok, shared, nil, nil},
		{"a check answers yes", ok.with("check-0", yes), shared, nil, nil},
		{"a check has no answer", ok.with("check-0", dependencyFail), shared, nil, nil},
		{"an excluded test fails", ok.with("required-7", setupFail), shared, known, nil},

		{"nothing was run", report{Tests: 334}, shared, nil, []string{"0 check tests", "0 optimal tests", "0 required tests"}},
		{"no suite", report{}, shared, nil, []string{"a suite of 0 tests is not known"}},
		{"another suite", other, shared, nil, []string{"a suite of 335 tests is not known"}},
		{"fewer tests", fewer, shared, nil, []string{"85 optimal tests were run, not 86"}},
		{"another mode's tests", ok, private, nil, []string{"157 required", "86 check", "86 optimal"}},
		{"a test twice", twice, shared, nil, []string{"check-4 was run twice"}},
		{"a test without result", ok.with("required-1", untested), shared, nil, []string{"required-1 was not run"}},
		{"an excluded test without result", ok.with("required-7", untested), shared, known, []string{"required-7 was not run"}},
		{"a check without result", ok.with("check-1", untested), shared, nil, []string{"check-1 was not run"}},

		{"a required test fails", ok.with("required-1", fail), shared, nil, []string{"required-1 (required): fail"}},
		{"an optimal test fails", ok.with("optimal-1", optionalFail), shared, nil, []string{"optimal-1 (optimal): optional_fail"}},
		{"a dependency fails", ok.with("required-1", dependencyFail), shared, nil, []string{"required-1 (required): dependency_fail"}},
		{"a setup fails", ok.with("required-1", setupFail), shared, nil, []string{"required-1 (required): setup_fail"}},
		{"a test times out", ok.with("optimal-1", harnessFail), shared, nil, []string{"optimal-1 (optimal): harness_fail"}},
		{"a request is repeated", ok.with("optimal-1", retry), shared, nil, []string{"optimal-1 (optimal): retry"}},
		{"an outcome of no kind", ok.with("optimal-1", "fine"), shared, nil, []string{`outcome "fine"`}},
		{"an outcome of another kind", ok.with("optimal-1", yes), shared, nil, []string{`kind "optimal" with outcome "yes"`}},
		{"a kind of no suite", oddKind, shared, nil, []string{`kind "odd"`}},

		{"an excluded test passes", ok, shared, known, []string{"required-7 is excluded, but passes"}},
		{"no such excluded test", ok, shared, []exclusion{{id: "gone", reason: "r"}}, []string{"no such test"}},
		{"an excluded check", ok, shared, []exclusion{{id: "check-1", reason: "r"}}, []string{"a check cannot fail"}},
		{
			"excluded in the other mode", ok.with("required-7", fail), shared,
			[]exclusion{{id: "required-7", modes: []mode{private}, reason: "r"}}, []string{"required-7 (required): fail"},
		},
		{
			"excluded in another suite", ok.with("required-7", fail), shared,
			[]exclusion{{id: "required-7", cuts: []int{370}, reason: "r"}}, []string{"required-7 (required): fail"},
		},
		{
			"excluded in this mode and suite", ok.with("required-7", fail), shared,
			[]exclusion{{id: "required-7", cuts: []int{334}, modes: []mode{shared}, reason: "r"}}, nil,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := problems(tt.mode, tt.rep, tt.exclusions)
			if len(got) != len(tt.want) {
				t.Fatalf("got problems %q, want %q", got, tt.want)
			}
			for i, want := range tt.want {
				if !strings.Contains(got[i], want) {
					t.Errorf("got problem %q, want %q", got[i], want)
				}
			}
		})
	}
}

// A test that is not in its cut is not excluded but misspelt; that is found by a run. This finds the rest.
func TestExclusions(t *testing.T) {
	type place struct {
		id    string
		tests int
		mode  mode
	}
	seen := make(map[place]bool)
	for _, e := range exclusions {
		if !strings.Contains(e.reason, "RFC ") || !strings.Contains(e.reason, "section") {
			t.Errorf("%s: the reason names no section of an RFC: %s", e.id, e.reason)
		}
		covers := 0
		for tests := range cuts {
			for _, m := range []mode{shared, private} {
				if !e.covers(tests, m) {
					continue
				}
				covers++
				if p := (place{e.id, tests, m}); seen[p] {
					t.Errorf("%s is excluded twice from the %s tests of %d", e.id, m, tests)
				} else {
					seen[p] = true
				}
			}
		}
		if covers == 0 {
			t.Errorf("%s is excluded from nothing", e.id)
		}
	}
}

func TestCount(t *testing.T) {
	got := count([]result{
		{ID: "a", Kind: required, Outcome: pass},
		{ID: "b", Kind: required, Outcome: dependencyFail},
		{ID: "c", Kind: optimal, Outcome: harnessFail},
		{ID: "d", Kind: check, Outcome: yes},
		{ID: "e", Kind: check, Outcome: no},
	})
	want := map[string]tally{required: {1, 2}, optimal: {0, 1}, check: {1, 2}}
	if !maps.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestTable(t *testing.T) {
	got := table([]row{{"cachecontrol", "memory", shared, map[string]tally{required: {159, 160}, optimal: {105, 105}, check: {60, 100}}}})
	if want := "| cachecontrol | shared | memory | 159 of 160 | 105 of 105 | 60 of 100 |\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end in %q", got, want)
	}
}

func TestReasons(t *testing.T) {
	got := reasons(334, []exclusion{
		{id: "both", reason: "r1"},
		{id: "newest", cuts: []int{370}, reason: "r2"},
		{id: "one", modes: []mode{private}, reason: "r3"},
	})
	if want := "|---|---|---|\n| `both` | shared, private | r1 |\n| `one` | private | r3 |\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want it to end in %q", got, want)
	}
}

func TestAnswers(t *testing.T) {
	question := func(id string, o outcome) report {
		return report{Results: []result{
			{ID: id, Kind: check, Outcome: o},
			{ID: "r", Kind: required, Outcome: pass},
		}}
	}
	got := answers(map[mode][]report{
		shared:  {question("q", yes), question("q", yes), question("q", dependencyFail), question("s", no)},
		private: {question("q", no)},
	})
	_, got, _ = strings.Cut(got, "|---|---|---|\n")
	want := "| `q` | yes, dependency fail | no |\n" +
		"| `s` | no | - |\n"
	if got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// Only tests that could not be carried out are run again, with those that depend on them.
func TestInconclusive(t *testing.T) {
	rep := report{Tests: 334, Results: []result{
		{ID: "passed", Outcome: pass}, {ID: "failed", Outcome: fail}, {ID: "no-setup", Outcome: setupFail},
		{ID: "excluded", Outcome: setupFail}, {ID: "timed-out", Outcome: harnessFail}, {ID: "depends", Outcome: dependencyFail},
	}}
	excluded := []exclusion{{id: "excluded"}}
	got := inconclusive(shared, rep, excluded)
	if want := []string{"no-setup", "timed-out", "depends"}; !slices.Equal(got, want) {
		t.Errorf("inconclusive = %v, want %v", got, want)
	}
	rep.replace(report{Results: []result{{ID: "no-setup", Outcome: pass}, {ID: "failed", Outcome: pass}}}, got)
	if got := rep.Results[1].Outcome; got != fail {
		t.Errorf("after replace, failed has outcome %v, want %v", got, fail)
	}
	if got := rep.Results[2].Outcome; got != pass {
		t.Errorf("after replace, no-setup has outcome %v, want %v", got, pass)
	}
	if got := inconclusive(shared, report{Results: []result{{ID: "depends", Outcome: dependencyFail}}}, nil); got != nil {
		t.Errorf("inconclusive = %v without a test that could not be carried out, want none", got)
	}
}
