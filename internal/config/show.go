package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Masked is the configuration as YAML with its secrets masked, the same for the same
// configuration. It can be loaded again, to the same but for the secrets.
func (c Config) Masked() []byte {
	var out []byte
	previous := ""
	for _, k := range keys(&c) {
		out = appendGroups(out, previous, k.path)
		out = append(out, k.yaml()...)
		previous = k.path
	}
	return out
}

// appendGroups opens the groups that path is in and the key before it was not.
func appendGroups(out []byte, previous, path string) []byte {
	from, to := strings.Split(previous, "."), strings.Split(path, ".")
	common := 0
	for common < len(from)-1 && common < len(to)-1 && from[common] == to[common] {
		common++
	}
	for depth := common; depth < len(to)-1; depth++ {
		out = fmt.Appendf(out, "%s%s:\n", indent(depth), to[depth])
	}
	return out
}

// yaml writes the key and its value, indented to its depth.
func (k key) yaml() string {
	depth := strings.Count(k.path, ".")
	name := k.path[strings.LastIndexByte(k.path, '.')+1:]
	text, err := yaml.Dump(map[string]any{name: shown(k.place)}, yaml.WithLineWidth(-1))
	if err != nil {
		panic(fmt.Sprintf("config: writing %s: %v", k.path, err)) // plain values, always written
	}
	var out strings.Builder
	for line := range strings.Lines(string(text)) {
		out.WriteString(indent(depth) + line)
	}
	return out.String()
}

// byDefault describes the value a key has when nobody sets it. k must be a key of [Default].
func (k key) byDefault() string {
	if unset, ok := k.tag.Lookup("unset"); ok {
		return unset
	}
	if general := k.general(); general != "" {
		return "as " + general
	}
	text := fmt.Sprint(shown(k.place))
	if text == "" || text == "[]" || text == "map[]" {
		return "none"
	}
	return text
}

// general names the key that this one takes its default from, "" if it has one of its own.
func (k key) general() string {
	own, found := strings.CutPrefix(k.each, "events.<eventType>.")
	if found && (own == "budget" || strings.HasPrefix(own, "cache.")) {
		return own
	}
	return ""
}

func indent(depth int) string { return strings.Repeat("  ", depth) }
