package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds a configuration file; a feed or a log named by mistake is over it.
const maxFile = 1 << 20

// ReadFile reads a configuration file, and no more than a little over what Load accepts.
func ReadFile(name string) ([]byte, error) {
	file, err := os.Open(name) //nolint:gosec // the file the operator names
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return io.ReadAll(io.LimitReader(file, maxFile+1))
}

// file assigns what the YAML file says.
func (l *layers) file(name string, readFile func(string) ([]byte, error)) {
	data, err := readFile(name)
	switch {
	case err != nil:
		l.incomplete = true
		// An *os.PathError would name the file once more.
		if path, ok := errors.AsType[*os.PathError](err); ok {
			err = path.Err
		}
		l.mistakes = append(l.mistakes, Mistake{Where: name, Problem: err.Error()})
	case len(data) > maxFile:
		l.incomplete = true
		l.mistakes = append(l.mistakes, Mistake{Where: name, Problem: "is larger than 1 MiB"})
	default:
		r := reader{layers: l, name: name, leaves: map[string]any{}, groups: map[string]bool{}}
		for _, k := range l.keys {
			r.leaves[k.path] = k.place
			for i, c := range k.path {
				if c == '.' {
					r.groups[k.path[:i]] = true
				}
			}
		}
		r.read(data)
	}
}

// reader walks a file's nodes. It works on nodes rather than decoding into the struct
// because a node knows its line, and because each value keeps the text it was written
// in: a mode that is "on" is not a boolean, and a value means the same here as in a
// variable or a flag.
type reader struct {
	*layers
	name   string
	leaves map[string]any  // the keys' places by path
	groups map[string]bool // paths that lead to keys
}

// read takes one document; an empty file is one with nothing in it.
func (r *reader) read(data []byte) {
	loader, err := yaml.NewLoader(strings.NewReader(string(data)))
	if err != nil {
		r.syntax(err)
		return
	}
	var document, second yaml.Node
	if err := loader.Load(&document); err != nil {
		if !errors.Is(err, io.EOF) {
			r.syntax(err)
		}
		return
	}
	if len(document.Content) > 0 {
		r.group("", document.Content[0])
	}
	switch err := loader.Load(&second); {
	case err == nil:
		r.mistake("", second.Line, "a second document: one file holds one configuration")
	case !errors.Is(err, io.EOF):
		r.syntax(err)
	}
}

// group reads the members of one mapping.
func (r *reader) group(path string, node *yaml.Node) {
	node = resolve(node)
	if null(node) { // every key of it is commented out
		return
	}
	if node.Kind != yaml.MappingNode {
		r.mistake(path, node.Line, "must be a group of keys")
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		name, value := node.Content[i], node.Content[i+1]
		member := strings.TrimPrefix(path+"."+name.Value, ".")
		_, leaf := r.leaves[member]
		switch first, twice := seen[name.Value]; {
		case name.Kind != yaml.ScalarNode:
			r.mistake(path, name.Line, "a key must be a plain word")
		case twice:
			r.mistake(member, name.Line, fmt.Sprintf("is set twice, first in line %d", first))
		case strings.Contains(name.Value, "."): // a path is not a key
			r.mistake(member, name.Line, "unknown key")
		case leaf:
			r.value(member, name.Line, value)
		case r.groups[member]:
			r.group(member, value)
		default:
			r.mistake(member, name.Line, "unknown key")
		}
		seen[name.Value] = name.Line
	}
}

// value assigns one key's value, as text.
func (r *reader) value(path string, line int, node *yaml.Node) {
	text, err := textOf(r.leaves[path], resolve(node))
	if err != nil {
		r.mistake(path, line, err.Error())
		return
	}
	r.assignments = append(r.assignments, assignment{path: path, text: text, where: r.where(path, line), line: line})
}

// textOf gives a value in the notation of variables and flags: a list with commas, pairs of
// name and value one a line.
func textOf(place any, node *yaml.Node) (string, error) {
	_, list := place.(*[]string)
	pairs := isPairs(place)
	switch {
	case null(node):
		return "", errors.New("has no value: write one, or leave the key out")
	case node.Kind == yaml.ScalarNode:
		return node.Value, nil
	case list && node.Kind == yaml.SequenceNode:
		return join(node.Content, []string{","})
	case pairs && node.Kind == yaml.MappingNode:
		return join(node.Content, []string{":", "\n"})
	default:
		return "", errors.New("must be a single value" + map[bool]string{true: " or a list"}[list] +
			map[bool]string{true: " or names with values"}[pairs])
	}
}

// join writes scalars one after the other, each followed by the next of the separators,
// which none of them may hold.
func join(nodes []*yaml.Node, separators []string) (string, error) {
	var text strings.Builder
	for i, node := range nodes {
		node = resolve(node)
		separator := separators[i%len(separators)]
		if node.Kind != yaml.ScalarNode || null(node) || strings.Contains(node.Value, separator) ||
			strings.Contains(node.Value, "\n") {
			return "", fmt.Errorf("line %d: every element must be a single value without %q", node.Line, separator)
		}
		text.WriteString(node.Value + separator)
	}
	return text.String(), nil
}

// resolve follows an alias. The walk is no deeper than the configuration's own tree, so
// that aliases can neither run in a circle nor multiply.
func resolve(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

func null(node *yaml.Node) bool {
	return node.Kind == yaml.ScalarNode && node.ShortTag() == "!!null"
}

// syntax reports what the YAML library could not read.
func (r *reader) syntax(err error) {
	r.incomplete = true
	if syntax, ok := errors.AsType[*yaml.LoadError](err); ok {
		r.mistake("", max(syntax.Mark.Line, 1), syntax.Message)
		return
	}
	r.mistake("", 1, err.Error())
}

func (r *reader) mistake(path string, line int, problem string) {
	r.mistakes = append(r.mistakes, Mistake{Key: path, Where: r.where(path, line), Line: line, Problem: problem})
}

// where names a place in the file: "vitrine.yaml:3: cache.fresh".
func (r *reader) where(path string, line int) string {
	return strings.TrimSuffix(fmt.Sprintf("%s:%d: %s", r.name, line, path), ": ")
}
