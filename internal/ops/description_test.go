package ops_test

import (
	"bytes"
	"encoding/json"
	"html/template"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// object is part of the description; it is read as what it says, not into types.
type object = map[string]any

// The page at /docs is written from the description, and served as it is.
func TestGoldenDocs(t *testing.T) {
	want := render(t)
	if *update {
		if err := os.WriteFile("docs.html", want, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("docs.html")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("docs.html is not what openapi.yaml says; run: make golden")
	}
}

// A page that is read offline must need nothing from elsewhere.
func TestDocsNeedNothing(t *testing.T) {
	page, err := os.ReadFile("docs.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, foreign := range []string{"<script", "<link", "<img", "@import", "url("} {
		if bytes.Contains(page, []byte(foreign)) {
			t.Errorf("got %s in docs.html, want none", foreign)
		}
	}
}

func render(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc object
	if err := yaml.Unmarshal(text, &doc); err != nil {
		t.Fatal(err)
	}
	d := description{doc}
	page, err := template.ParseFiles("testdata/docs.tmpl")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := page.Execute(&out, object{"info": doc["info"], "groups": d.groups(), "schemas": d.schemas(t)}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// description walks through the document.
type description struct{ doc object }

// at follows names, and references on the way; nil if there is nothing.
func (d description) at(from any, names ...string) any {
	for _, name := range names {
		o, _ := d.follow(from).(object)
		from = o[name]
	}
	return d.follow(from)
}

func (d description) follow(v any) any {
	o, _ := v.(object)
	ref, ok := o["$ref"].(string)
	if !ok {
		return v
	}
	return d.at(d.doc, strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

// groups are the operations by tag, in the order of the tags, then of their paths.
func (d description) groups() []object {
	tags, _ := d.doc["tags"].([]any)
	groups := make([]object, 0, len(tags))
	for _, tag := range tags {
		var operations []object
		paths, _ := d.doc["paths"].(object)
		for _, route := range slices.Sorted(maps.Keys(paths)) {
			for _, method := range []string{"get", "post", "delete"} {
				operation, ok := d.at(paths, route, method).(object)
				if ok && operation["tags"].([]any)[0] == d.at(tag, "name") {
					operations = append(operations, d.operation(paths[route], route, method, operation))
				}
			}
		}
		groups = append(groups, object{"description": d.at(tag, "description"), "operations": operations})
	}
	return groups
}

func (d description) operation(item any, route, method string, o object) object {
	server := "data listener"
	if servers, ok := d.at(item, "servers").([]any); ok {
		server, _ = d.at(servers[0], "description").(string)
	}
	var parameters []object
	for _, p := range list(o["parameters"]) {
		parameters = append(parameters, object{"name": d.at(p, "name"), "description": d.at(p, "description")})
	}
	example := ""
	if e := d.at(o, "requestBody", "content", "application/json", "example"); e != nil {
		text, _ := json.Marshal(e) // it came from a document
		example = string(text)
	}
	responses, _ := o["responses"].(object)
	var shown []object
	for _, status := range slices.Sorted(maps.Keys(responses)) {
		if status != "default" {
			shown = append(shown, d.response(status, responses[status]))
		}
	}
	return object{
		"id": o["operationId"], "class": method, "method": strings.ToUpper(method), "path": route, "server": server,
		"summary": o["summary"], "description": o["description"], "parameters": parameters, "example": example, "responses": shown,
	}
}

func (d description) response(status string, of any) object {
	headers, _ := d.at(of, "headers").(object)
	var shown []object
	for _, name := range slices.Sorted(maps.Keys(headers)) {
		shown = append(shown, object{"name": name, "description": d.at(headers[name], "description")})
	}
	schema := ""
	content, _ := d.at(of, "content").(object)
	for _, kind := range slices.Sorted(maps.Keys(content)) {
		body, _ := content[kind].(object)["schema"].(object)
		if ref, ok := body["$ref"].(string); ok {
			schema = path.Base(ref)
		}
	}
	return object{"status": status, "description": d.at(of, "description"), "headers": shown, "schema": schema}
}

func (d description) schemas(t *testing.T) []object {
	t.Helper()
	all, _ := d.at(d.doc, "components", "schemas").(object)
	shown := make([]object, 0, len(all))
	for _, name := range slices.Sorted(maps.Keys(all)) {
		text, err := yaml.Marshal(all[name])
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, object{"name": name, "description": d.at(all[name], "description"), "text": string(text)})
	}
	return shown
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}
