package main_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the generated files anew")

// row is a situation and what was served in it, in words.
type row struct{ held, api, redis, source, reason, status, wait string }

const atMostNothing = "none"

func (r row) situation() string { return r.held + "|" + r.api + "|" + r.redis }

// rowsTable is the table of rows. What several of them have in common is said once.
func rowsTable(rows []row) string {
	for i, r := range rows {
		if r.reason != "" {
			rows[i].reason = "`" + r.reason + "`"
		}
	}
	all := merge(rows, func(r *row) *string { return &r.redis }, nil)
	all = merge(all, func(r *row) *string { return &r.api }, func(r *row) *string { return &r.reason })
	all = merge(all, func(r *row) *string { return &r.held }, nil)
	var anyAPI string
	for _, c := range conditions() {
		join(&anyAPI, c.name)
	}
	var b strings.Builder
	b.WriteString("| cached ranking · native list | the API | Redis | `Vitrine-Source` | `Vitrine-Reason` | `Cache-Status` | longest wait |\n" +
		"| --- | --- | --- | --- | --- | --- | --- |\n")
	for _, r := range all {
		if r.api == anyAPI {
			r.api = "whatever"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | `%s` | %s | `%s` | %s |\n", r.held, r.api, r.redis, r.source, r.reason, r.status, r.wait)
	}
	return b.String()
}

// merge puts rows together that differ in one column alone, or in that and what goes with
// it, at the place of the first.
func merge(rows []row, column, with func(*row) *string) []row {
	var out []row
	var keys []row
	for _, r := range rows {
		key := r
		*column(&key) = ""
		if with != nil {
			*with(&key) = ""
		}
		at := slices.Index(keys, key)
		if at < 0 {
			out, keys = append(out, r), append(keys, key)
			continue
		}
		join(column(&out[at]), *column(&r))
		if with != nil {
			join(with(&out[at]), *with(&r))
		}
	}
	return out
}

// join adds a value to a list of them.
func join(list *string, value string) {
	const between = " / "
	switch {
	case *list == "":
		*list = value
	case value != "" && !slices.Contains(strings.Split(*list, between), value):
		*list += between + value
	}
}

// goldenReadme compares what the README has between its markers of that name, or writes it.
func goldenReadme(t *testing.T, name, want string) {
	t.Helper()
	const file = "../../README.md"
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	begin, end := "<!-- "+name+":begin -->\n", "<!-- "+name+":end -->\n"
	head, rest, found := strings.Cut(string(text), begin)
	got, tail, ended := strings.Cut(rest, end)
	switch {
	case !found || !ended:
		t.Fatalf("%s: got no %q and %q", file, begin, end)
	case *update && got != want && !t.Failed():
		if err := os.WriteFile(file, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
	case got != want:
		t.Errorf("%s says\n%s\nwant\n%s\nrun `make golden`", file, got, want)
	}
}
