package config

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// masked stands for every secret that is shown.
const masked = "******"

// Secret is a value that is never shown: every way to print or encode it gives asterisks.
// Only [Secret.Reveal] gives it away.
type Secret struct{ value string }

// NewSecret keeps value.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return s.value }

// String shows that there is a secret, or "" if there is none.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return masked
}

// Format covers every verb: %d or %x of a string would show it in spite of String.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.String()) }

// MarshalText masks the secret in JSON, YAML and slog alike.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Address is a URL, or several separated by commas, that may carry credentials. It is
// shown with them masked; convert it to a string for the URL itself.
type Address string

// String shows the address without its credentials: neither the part before an @, nor
// the values of options that are named like a secret.
func (a Address) String() string {
	// Of several addresses each has a scheme of its own, or only the first has.
	parts := strings.Split(string(a), ",redis")
	for i, part := range parts {
		parts[i] = maskQuery(maskUser(part))
	}
	return strings.Join(parts, ",redis")
}

// Format covers every verb, as [Secret.Format] does.
func (a Address) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, a.String()) }

// MarshalText masks the credentials in JSON, YAML and slog alike.
func (a Address) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// maskUser masks what stands before the last @. A valid address has at most one; in one
// that is not valid, too much is masked rather than too little.
func maskUser(address string) string {
	at := strings.LastIndexByte(address, '@')
	if at < 0 {
		return address
	}
	start := 0
	if scheme := strings.Index(address, "://"); scheme >= 0 && scheme < at {
		start = scheme + len("://")
	}
	return address[:start] + masked + address[at:]
}

// maskQuery masks the values of options that are named like a secret. A value with a
// placeholder is none.
func maskQuery(address string) string {
	head, query, found := strings.Cut(address, "?")
	if !found {
		return address
	}
	options := strings.Split(query, "&")
	for i, option := range options {
		name, value, _ := strings.Cut(option, "=")
		if value != "" && !strings.Contains(value, "{") && namedLikeSecret(name) {
			options[i] = name + "=" + masked
		}
	}
	return head + "?" + strings.Join(options, "&")
}

func namedLikeSecret(name string) bool {
	name = strings.ToLower(name)
	return slices.ContainsFunc([]string{"auth", "cred", "key", "pass", "pwd", "secret", "sig", "token"},
		func(part string) bool { return strings.Contains(name, part) })
}

// Headers are HTTP headers by canonical name. Their values are secrets, unless they name
// a file: "file:/run/secrets/token".
type Headers map[string]Secret

// Reveal returns the headers with their values.
func (h Headers) Reveal() map[string]string { return reveal(h) }

// Vars are the variables of a platform's preset. Those named like a secret are shown
// masked, unless they name a file.
type Vars map[string]Secret

// Reveal returns the variables with their values.
func (v Vars) Reveal() map[string]string { return reveal(v) }

func reveal(secrets map[string]Secret) map[string]string {
	values := make(map[string]string, len(secrets))
	for name, value := range secrets {
		values[name] = value.Reveal()
	}
	return values
}

func conceal(values map[string]string) map[string]Secret {
	secrets := make(map[string]Secret, len(values))
	for name, value := range values {
		secrets[name] = NewSecret(value)
	}
	return secrets
}

// shownValues gives the values as they may be shown: those that hide says, masked.
func shownValues(secrets map[string]Secret, hide func(name string) bool) map[string]string {
	values := reveal(secrets)
	for name, value := range values {
		if !strings.HasPrefix(value, fileValue) && hide(name) {
			values[name] = secrets[name].String()
		}
	}
	return values
}

// fileValue marks a value that is to be read from a file.
const fileValue = "file:"
