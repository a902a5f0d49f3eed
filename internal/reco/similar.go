package reco

// Similar is the read-only question for products similar to one. It is no event.
type Similar struct {
	User, Session string // "" = not given
	Item          string // the product's id
}

// ParseSimilar reads the body of the path of similar products, by the rules for the
// members of an event; the session may be left out. What it returns shares one copy of
// body. The error is a [*SyntaxError].
func ParseSimilar(body []byte) (Similar, error) {
	r := reader{s: string(body)}
	var s Similar
	for m := r.object(); m.next(); {
		switch m.name {
		case "userId":
			s.User = r.userID()
		case "sessionId":
			if !r.null() {
				s.Session = r.bounded(r.str())
			}
		case "data":
			s.Item, _ = r.data()
		default:
			r.skip()
		}
	}
	r.end()
	if s.Item == "" {
		r.failAt("data.id", "is required and must not be empty")
	}
	if r.err != nil {
		return Similar{}, r.err
	}
	return s, nil
}

// AppendJSON appends the question as the API wants it. What was not given is left out.
func (s Similar) AppendJSON(dst []byte) []byte {
	dst = append(dst, '{')
	for _, m := range [...]struct{ name, value string }{{`"userId":`, s.User}, {`"sessionId":`, s.Session}} {
		if m.value != "" {
			dst = append(dst, m.name...)
			dst = append(appendString(dst, m.value), ',')
		}
	}
	dst = append(dst, `"data":{"id":`...)
	dst = appendString(dst, s.Item)
	return append(dst, '}', '}')
}
