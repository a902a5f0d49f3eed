package baseline

import (
	"embed"
	"fmt"
	"os"
	"text/template"
)

//go:embed nginx.conf varnish.vcl
var configs embed.FS

// Config is what the configuration of another cache is filled in with.
type Config struct {
	Listen   string // host:port it serves
	Upstream string // host:port of the API behind it
	Host     string // the same, apart
	Port     string
	Dir      string // for its files
}

// WriteConfig writes the configuration file of that name, nginx.conf or varnish.vcl, to a path.
func WriteConfig(name, path string, c Config) error {
	t, err := template.ParseFS(configs, name)
	if err != nil {
		return fmt.Errorf("reading %s: %w", name, err)
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := t.Execute(f, c); err != nil {
		_ = f.Close()
		return err
	}
	return f.Close()
}
