package config

import (
	"reflect"
	"strings"
)

// envPrefix starts the name of every environment variable of ours.
const envPrefix = "VITRINE_"

// key is one setting: a leaf of the configuration's tree.
type key struct {
	path  string // "cache.fresh": its place in the file, and its flag
	place any    // pointer to the value
	tag   reflect.StructTag
	each  string // path with a placeholder for its group's name: "events.<eventType>.mode"
}

// env is the name of the key's environment variable.
func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.path, ".", "_"))
}

// doc is the key's line of documentation.
func (k key) doc() string { return k.tag.Get("doc") }

// words are the values allowed, none if any is.
func (k key) words() []string { return strings.Fields(k.tag.Get("oneof")) }

// keys lists every setting of c in the order of its fields, with pointers into c.
func keys(c *Config) []key {
	return appendKeys(nil, reflect.ValueOf(c).Elem(), "", "", "")
}

// appendKeys walks one struct. prefix and each are its path, plain and with the
// placeholder; placeholder is what stands for the name of a member of this struct.
func appendKeys(to []key, group reflect.Value, prefix, each, placeholder string) []key {
	for i := range group.NumField() {
		field := group.Type().Field(i)
		name, option, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if option == "inline" {
			to = appendKeys(to, group.Field(i), prefix, each, placeholder)
			continue
		}
		shownAs := name
		if placeholder != "" {
			shownAs = placeholder
		}
		if _, documented := field.Tag.Lookup("doc"); !documented {
			to = appendKeys(to, group.Field(i), prefix+name+".", each+shownAs+".", field.Tag.Get("each"))
			continue
		}
		to = append(to, key{
			path:  prefix + name,
			place: group.Field(i).Addr().Interface(),
			tag:   field.Tag,
			each:  each + shownAs,
		})
	}
	return to
}
