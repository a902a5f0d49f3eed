// Package secret reads what operators keep in files of its own rather than in a
// configuration: tokens, keys, values of headers.
package secret

import (
	"fmt"
	"io"
	"os"
	"strings"
)

// maxFile bounds a secret's file, in bytes.
const maxFile = 64 << 10

// prefix marks a configured value that stands for a file's content.
const prefix = "file:"

// Read returns the one line that a file holds, less the white space around it. The
// error names the path and nothing of the content.
func Read(path string) (string, error) {
	f, err := os.Open(path) //nolint:gosec // the operator names it
	if err != nil {
		return "", err //nolint:wrapcheck // it names the path
	}
	defer func() { _ = f.Close() }() // it was only read
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	line := strings.TrimSpace(string(content))
	switch {
	case err != nil:
		return "", err //nolint:wrapcheck // it names the path
	case line == "":
		return "", fmt.Errorf("%s is empty", path)
	case len(content) > maxFile:
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	case strings.ContainsFunc(line, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return "", fmt.Errorf("%s does not hold one line of text", path)
	}
	return line, nil
}

// Resolve returns what a configured value stands for: the line in the file that
// "file:/path" names, or itself. Asked each time the value is used, it needs no
// restart to follow a secret that is rotated.
func Resolve(configured string) (string, error) {
	path, isFile := strings.CutPrefix(configured, prefix)
	if !isFile {
		return configured, nil
	}
	line, err := Read(path)
	if err != nil {
		return "", fmt.Errorf("reading a secret: %w", err)
	}
	return line, nil
}
