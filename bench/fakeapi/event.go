package fakeapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"slices"
)

// event is what one recommendation call says. Members that are missing or of the
// wrong type are empty.
type event struct {
	session, user, eventType, id string
}

// parseEvent reads a recommendation call's body. It returns what it could make out
// even when there are problems, because the ledger wants to know.
func parseEvent(body []byte) (e event, problems []string) {
	members, problems := object(body, "")
	e.user, _ = member(members, "userId", &problems)
	var given bool
	if e.session, given = member(members, "sessionId", &problems); !given || e.session == "" {
		problems = append(problems, "sessionId should not be empty")
	}
	e.eventType, _ = member(members, "eventType", &problems)
	if !slices.Contains([]string{ProductView, CategoryView, ShopTheLook, CustomShelf}, e.eventType) {
		problems = append(problems, "eventType must be one of the following values: productView, categoryView, shopTheLook, customShelf")
	}
	e.id = dataID(members, &problems)
	switch {
	case e.eventType == CustomShelf && e.id != "":
		problems = append(problems, "data.id must be an empty string for customShelf")
	case e.eventType != CustomShelf && e.id == "":
		problems = append(problems, "data.id should not be empty")
	}
	return e, append(problems, unknown(members, "", "userId", "sessionId", "eventType", "data")...)
}

// parseSimilar reads the body of a call for similar products, which has no event type.
func parseSimilar(body []byte) (e event, problems []string) {
	members, problems := object(body, "")
	e.user, _ = member(members, "userId", &problems)
	e.session, _ = member(members, "sessionId", &problems)
	if e.id = dataID(members, &problems); e.id == "" {
		problems = append(problems, "data.id should not be empty")
	}
	return e, append(problems, unknown(members, "", "userId", "sessionId", "data")...)
}

// dataID reads data.id, which must be there and a string.
func dataID(members map[string]json.RawMessage, problems *[]string) string {
	data, found := object(members["data"], "data")
	*problems = append(*problems, found...)
	*problems = append(*problems, unknown(data, "data.", "id")...)
	id, given := member(data, "id", problems)
	if !given {
		*problems = append(*problems, "data.id must be a string")
	}
	return id
}

// object reads one JSON object, refusing repeated members and anything after it.
func object(raw []byte, name string) (members map[string]json.RawMessage, problems []string) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	if start, err := decoder.Token(); err != nil || start != json.Delim('{') {
		if name == "" {
			name = "the body"
		}
		return nil, []string{name + " must be an object"}
	}
	members = make(map[string]json.RawMessage)
	for decoder.More() {
		key, err := decoder.Token()
		if err != nil {
			return members, []string{"malformed JSON: " + err.Error()}
		}
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			return members, []string{"malformed JSON: " + err.Error()}
		}
		text, _ := key.(string)
		if _, again := members[text]; again {
			problems = append(problems, "property "+text+" is given twice")
		}
		members[text] = value
	}
	if _, err := decoder.Token(); err != nil {
		return members, append(problems, "malformed JSON: "+err.Error())
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		problems = append(problems, "there is something after the object")
	}
	return members, problems
}

// member reads a string member; one that is not a string is a problem.
func member(members map[string]json.RawMessage, name string, problems *[]string) (value string, given bool) {
	raw, given := members[name]
	if !given {
		return "", false
	}
	if len(raw) == 0 || raw[0] != '"' || json.Unmarshal(raw, &value) != nil {
		*problems = append(*problems, name+" must be a string")
	}
	return value, true
}

func unknown(members map[string]json.RawMessage, prefix string, known ...string) (problems []string) {
	for name := range members {
		if !slices.Contains(known, name) {
			problems = append(problems, "property "+prefix+name+" should not exist")
		}
	}
	slices.Sort(problems)
	return problems
}
