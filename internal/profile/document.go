package profile

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// section is a part of a profile: what JSON it must be.
type section struct {
	name string
	open byte // '{' or '['
}

// sections are the documented parts of a profile. What is inside them is prose for
// people, and no reason not to remember it.
func sections() [5]section {
	return [...]section{
		{"perfil_cliente", '{'},
		{"ocasioes_relevantes", '['},
		{"briefing_marketing", '{'},
		{"ganchos_conteudo", '['},
		{"momento_compra_atual", '{'},
	}
}

// documented returns the userProfileId of a body that has the documented structure, and
// false for any other. Members beyond it do no harm.
func documented(body []byte) (id string, ok bool) {
	var members, parts map[string]json.RawMessage
	if !utf8.Valid(body) || json.Unmarshal(body, &members) != nil ||
		json.Unmarshal(members["userProfileId"], &id) != nil ||
		json.Unmarshal(members["profile"], &parts) != nil {
		return "", false
	}
	for _, s := range sections() {
		if part := parts[s.name]; len(part) == 0 || part[0] != s.open {
			return "", false
		}
	}
	if _, err := ParseIdentifier(ByID.String(), id); err != nil {
		return "", false
	}
	return id, true
}

// isObject reports whether a body is a JSON object, as all answers of the API are.
func isObject(body []byte) bool {
	trimmed := bytes.TrimLeft(body, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{' && json.Valid(body)
}
