package config

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"path/filepath"
	"slices"
	"strings"
)

// FileVariable names the configuration file where no --config does.
const FileVariable = envPrefix + "CONFIG"

// Mistake is one thing wrong with a configuration.
type Mistake struct {
	Key     string // "cache.fresh", empty if it is about no key of ours
	Where   string // what the operator wrote: "vitrine.yaml:3: cache.fresh", "VITRINE_CACHE_FRESH", "--cache.fresh"
	Line    int    // in the file, 0 if it is not there
	Problem string // what is wrong and what would be right, without any secret
}

// String puts the place before the problem.
func (m Mistake) String() string {
	return cmp.Or(m.Where, m.Key) + ": " + m.Problem
}

// InvalidError holds every mistake of a configuration: first those of the file, line by line.
type InvalidError struct{ Mistakes []Mistake }

// Error lists the mistakes, one a line.
func (e *InvalidError) Error() string {
	lines := make([]string, len(e.Mistakes))
	for i, m := range e.Mistakes {
		lines[i] = m.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads the configuration: defaults, then the file named by --config or
// VITRINE_CONFIG, then the environment ("NAME=value", as os.Environ gives it), then the
// flags in args. A variable set to nothing counts as not set.
//
// All mistakes are reported together, as an *InvalidError, beside the configuration as far
// as it makes sense, for a command that needs only a key or two. The error is
// [flag.ErrHelp] if args ask for help. The warnings are about what does no harm, and hold no secret. readFile
// is os.ReadFile, or one that bounds what it reads, as [ReadFile] does.
//
// The parts are what the packages that use the values have to say about them. The errors
// they return, joined, begin with the key that has to change: "platform.ids: is required".
func Load(
	args, environ []string, readFile func(name string) ([]byte, error), parts ...func(Config) error,
) (Config, []string, error) {
	c := Default()
	variables := variables(environ)
	if state := variables["XDG_STATE_HOME"]; filepath.IsAbs(state) { // else to be ignored, says its specification
		c.Outbox.Dir = filepath.Join(state, "vitrine")
	}

	l := layers{keys: keys(&c)}
	fromFlags, file, err := l.flags(args)
	if err != nil {
		return Config{}, nil, err
	}
	if file = cmp.Or(file, variables[FileVariable]); file != "" {
		l.file(file, readFile)
	}
	l.environment(variables)
	l.assignments = append(l.assignments, fromFlags...)

	// Twice, because the general keys are the defaults of each event type's own.
	l.mistakes = append(l.mistakes, l.apply()...)
	inherit(&c)
	l.apply()

	if !l.incomplete {
		l.blame(c.Validate())
		for _, part := range parts {
			l.blame(part(c))
		}
	}
	if len(l.mistakes) > 0 {
		slices.SortStableFunc(l.mistakes, byPlace)
		return c, l.warnings, &InvalidError{l.mistakes}
	}
	return c, append(l.warnings, c.warnings()...), nil
}

// assignment is one value an operator wrote, not yet understood.
type assignment struct {
	path  string
	text  string
	where string
	line  int
}

// layers gathers what every layer assigns, lowest first, and what is wrong with it.
type layers struct {
	keys        []key
	assignments []assignment
	mistakes    []Mistake
	warnings    []string
	incomplete  bool // a layer could not be read: what it lacks may only seem to be missing
}

// apply sets every key to what was assigned to it last, and returns what could not be.
func (l *layers) apply() []Mistake {
	places := make(map[string]any, len(l.keys))
	for _, k := range l.keys {
		places[k.path] = k.place
	}
	var mistakes []Mistake
	for _, a := range l.assignments {
		if err := set(places[a.path], a.text); err != nil {
			mistakes = append(mistakes, Mistake{Key: a.path, Where: a.where, Line: a.line, Problem: err.Error()})
		}
	}
	return mistakes
}

// blame adds what is wrong with the configuration as a whole, at the place where the
// value was assigned. A key that is known to be wrong is not blamed a second time.
func (l *layers) blame(err error) {
	known := map[string]bool{}
	for _, m := range l.mistakes {
		known[m.Key] = m.Key != ""
	}
	for _, m := range mistakes(err) {
		if known[m.Key] {
			continue
		}
		key := m.Key
		for !l.is(key) && strings.Contains(key, ".") { // platform.vars.account is part of platform.vars
			key = key[:strings.LastIndexByte(key, '.')]
		}
		for _, a := range l.assignments { // the last one is what counts
			if a.path == key {
				m.Where, m.Line = a.where+strings.TrimPrefix(m.Key, key), a.line
			}
		}
		l.mistakes = append(l.mistakes, m)
	}
}

func (l *layers) is(path string) bool {
	return slices.ContainsFunc(l.keys, func(k key) bool { return k.path == path })
}

// mistakes takes joined errors apart. What a part says begins with a key.
func mistakes(err error) []Mistake {
	switch err := err.(type) { //nolint:errorlint // takes the chain apart itself
	case nil:
		return nil
	case *InvalidError:
		return err.Mistakes
	case interface{ Unwrap() []error }:
		var all []Mistake
		for _, one := range err.Unwrap() {
			all = append(all, mistakes(one)...)
		}
		return all
	default:
		key, problem, found := strings.Cut(err.Error(), ": ")
		if !found {
			return []Mistake{{Where: "configuration", Problem: err.Error()}}
		}
		return []Mistake{{Key: key, Problem: problem}}
	}
}

// byPlace puts the file's mistakes first, in the order of its lines.
func byPlace(a, b Mistake) int {
	switch {
	case a.Line > 0 && b.Line > 0:
		return cmp.Compare(a.Line, b.Line)
	case a.Line > 0:
		return -1
	case b.Line > 0:
		return 1
	default:
		return 0
	}
}

// variables gives the environment's variables by name; one set to nothing is left out.
func variables(environ []string) map[string]string {
	variables := make(map[string]string, len(environ))
	for _, entry := range environ {
		if name, value, _ := strings.Cut(entry, "="); value != "" {
			variables[name] = value
		}
	}
	return variables
}

// environment assigns what our variables say. Unknown ones are only warned about:
// Kubernetes injects VITRINE_PORT and the like for a Service called vitrine.
func (l *layers) environment(variables map[string]string) {
	known := map[string]bool{FileVariable: true}
	for _, k := range l.keys {
		known[k.env()] = true
		if value, ok := variables[k.env()]; ok {
			l.assignments = append(l.assignments, assignment{path: k.path, text: value, where: k.env()})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if strings.HasPrefix(name, envPrefix) && !known[name] {
			l.warnings = append(l.warnings, name+" is set in the environment, but is no setting of ours")
		}
	}
}

// flags reads the command line: every key is a flag by its path, and --config names the file.
func (l *layers) flags(args []string) (assigned []assignment, file string, err error) {
	set := flag.NewFlagSet("vitrine", flag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.Usage = func() {} // the caller prints it
	set.StringVar(&file, "config", "", "")
	for _, k := range l.keys {
		where := "--" + k.path
		record := func(text string) error {
			assigned = append(assigned, assignment{path: k.path, text: text, where: where})
			return nil
		}
		if _, boolean := k.place.(*bool); boolean {
			set.BoolFunc(k.path, "", record)
		} else {
			set.Func(k.path, "", record)
		}
	}
	switch err := set.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return nil, "", err
	case err != nil:
		l.mistakes = append(l.mistakes, Mistake{Where: "command line", Problem: err.Error()})
	case set.NArg() > 0:
		l.mistakes = append(l.mistakes, Mistake{
			Where: "command line", Problem: fmt.Sprintf("unexpected argument %q", set.Arg(0)),
		})
	}
	return assigned, file, nil
}

// Usage describes every flag.
func Usage(w io.Writer) {
	fmt.Fprintf(w, "  --config FILE\n    \tYAML file (also %s)\n", FileVariable)
	c := Default()
	for _, k := range keys(&c) {
		fmt.Fprintf(w, "  --%s (%s)\n    \t%s\n", k.path, k.byDefault(), k.doc())
	}
}
