package profile

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind is one of the ways to say whose profile is meant.
type Kind uint8

// The kinds of identifier that the API documents.
const (
	ByID Kind = iota + 1
	ByEmail
	ByPhone
	ByDocument
)

// parseKind reads a kind as it stands in the path.
func parseKind(name string) (Kind, bool) {
	for _, k := range [...]Kind{ByID, ByEmail, ByPhone, ByDocument} {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}

// String returns the kind as it stands in the path.
func (k Kind) String() string {
	switch k {
	case ByID:
		return "user-profile-id"
	case ByEmail:
		return "email"
	case ByPhone:
		return "phone"
	case ByDocument:
		return "document"
	default:
		return "unknown"
	}
}

// Identifier says whose profile is meant: personal data. It lives no longer than the
// request, and the call, that it came with.
type Identifier struct {
	kind   Kind
	asked  string // as the caller wrote it, decoded
	normal string // the same for all spellings
}

// Bounds of identifiers, in bytes. An e-mail address has 254 by RFC 5321, a phone number
// 15 digits by E.164; the shortest have about 8 with their area. Documents are of any kind
// and any country.
const (
	mostIdentifier              = 256
	leastPhone, mostPhone       = 8, 15
	leastDocument, mostDocument = 3, 32
	mostEscaped                 = 3 * mostIdentifier
	pathPrefix                  = "/api/v1/crm/protected/profile/"
	unreservedBesideLetters     = "-._~"
	phoneSeparators             = " -.()"
	documentSeparators          = " -._"
	forbiddenInEveryIdentifier  = `/\`
)

// ErrKind says that there is no identifier of that kind.
var ErrKind = errors.New("there is no profile under this kind of identifier")

// InvalidError says why a value cannot be an identifier of its kind. It does not quote it.
type InvalidError struct{ detail string }

// Error returns what is wrong.
func (e *InvalidError) Error() string { return e.detail }

// ParsePath reads an identifier from the last two parts of the API's path, the value still
// escaped. It is decoded once, and a + is a +. The error is [ErrKind] or an *InvalidError.
func ParsePath(kind, escaped string) (Identifier, error) {
	if _, ok := parseKind(kind); !ok {
		return Identifier{}, ErrKind
	}
	if len(escaped) > mostEscaped {
		return Identifier{}, &InvalidError{"the identifier is too long"}
	}
	value, err := url.PathUnescape(escaped)
	if err != nil { // which quotes the value
		return Identifier{}, &InvalidError{"the identifier is not escaped as a path is"}
	}
	return ParseIdentifier(kind, value)
}

// ParseIdentifier reads an identifier that is not escaped. The error is [ErrKind] or an
// *InvalidError.
func ParseIdentifier(kind, value string) (Identifier, error) {
	k, ok := parseKind(kind)
	if !ok {
		return Identifier{}, ErrKind
	}
	if problem := unfit(value); problem != "" {
		return Identifier{}, &InvalidError{"the identifier " + problem}
	}
	normal, problem := k.normalise(value)
	if problem != "" {
		return Identifier{}, &InvalidError{"the " + k.String() + " " + problem}
	}
	return Identifier{kind: k, asked: value, normal: normal}, nil
}

// unfit says what no identifier is, whatever its kind.
func unfit(value string) string {
	switch {
	case strings.TrimSpace(value) == "":
		return "is empty"
	case len(value) > mostIdentifier:
		return "is too long"
	case !utf8.ValidString(value):
		return "is not UTF-8"
	case strings.ContainsAny(value, forbiddenInEveryIdentifier):
		return "holds a slash"
	case strings.Trim(value, ". ") == "":
		return "is nothing but dots"
	case strings.ContainsFunc(value, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "holds a control character"
	default:
		return ""
	}
}

// normalise returns the one spelling under which a value is remembered, or why it cannot
// be of this kind. Only ASCII letters change their case: that of others depends on the
// language, and two people must never be taken for one. To take one for two costs a call.
func (k Kind) normalise(value string) (normal, problem string) {
	switch k {
	case ByEmail:
		normal = strings.Map(lower, strings.Trim(value, " "))
		local, domain, found := strings.Cut(normal, "@")
		if !found || local == "" || domain == "" || strings.ContainsAny(domain, "@ ") || strings.Contains(local, " ") {
			return "", "is no e-mail address"
		}
		return normal, ""
	case ByPhone:
		normal = without(strings.TrimPrefix(strings.Trim(value, " "), "+"), phoneSeparators)
		if len(normal) < leastPhone || len(normal) > mostPhone || strings.ContainsFunc(normal, func(r rune) bool { return !digit(r) }) {
			return "", "is no phone number"
		}
		return normal, ""
	case ByDocument:
		normal = strings.ToUpper(without(value, documentSeparators))
		if len(normal) < leastDocument || len(normal) > mostDocument ||
			strings.ContainsFunc(normal, func(r rune) bool { return !digit(r) && !letter(r) }) {
			return "", "is no document's number"
		}
		return normal, ""
	default:
		if strings.Contains(value, " ") {
			return "", "is no profile's id"
		}
		return value, ""
	}
}

func lower(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r - 'A' + 'a'
	}
	return r
}

func digit(r rune) bool { return r >= '0' && r <= '9' }

func letter(r rune) bool { return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' }

func without(value, separators string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(separators, r) {
			return -1
		}
		return r
	}, value)
}

// usual tells whether the caller wrote it in its one normal spelling. To another the vendor
// may say 404 where it knows the person: that holds for the spelling, and not for the name.
func (i Identifier) usual() bool { return i.asked == i.normal }

// path is the API's path, with the value as the caller wrote it, escaped again. A + is
// escaped too: some servers take it for a space.
func (i Identifier) path() string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	b.WriteString(pathPrefix + i.kind.String() + "/")
	for _, c := range []byte(i.asked) {
		if r := rune(c); digit(r) || letter(r) || strings.IndexByte(unreservedBesideLetters, c) >= 0 {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', hex[c>>4], hex[c&15]})
		}
	}
	return b.String()
}

// name is what an identifier is called wherever it is remembered: HMAC-SHA256, cut to 128
// bits. Who sees one can neither tell whose it is nor, without the key, try whose it
// might be.
type name [16]byte

// names makes names.
type names struct{ key [32]byte }

// of returns an identifier's name. A profile's own name is that of its id.
func (n names) of(k Kind, normal string) (to name) {
	mac := hmac.New(sha256.New, n.key[:])
	_, _ = mac.Write(append([]byte("profile\x00"), byte(k))) // a hash takes everything
	_, _ = mac.Write([]byte(normal))
	copy(to[:], mac.Sum(nil))
	return to
}

// text is the name in Redis keys.
func (n name) text() string { return base64.RawURLEncoding.EncodeToString(n[:]) }

// parseName is the inverse of text.
func parseName(text string) (n name, ok bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	ok = err == nil && len(raw) == len(n)
	copy(n[:], raw)
	return n, ok
}
