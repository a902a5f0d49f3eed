package main

import (
	"errors"
	"fmt"

	"vitrine/fallback/catalog"
	"vitrine/fallback/platform"
	"vitrine/internal/config"
)

// loadConfig reads the configuration as every command sees it. See [config.Load].
func loadConfig(args, environ []string) (config.Config, []string, error) {
	return config.Load(args, environ, config.ReadFile, validateParts)
}

// mistakeAbout returns what keeps one key's value from being known, if anything does, of
// an error that [config.Load] gave.
func mistakeAbout(key string, err error) error {
	invalid, ok := errors.AsType[*config.InvalidError](err)
	if !ok {
		return err
	}
	for _, m := range invalid.Mistakes {
		if m.Key == key || m.Key == "" { // "" is a file that cannot be read
			return errors.New(m.String())
		}
	}
	return nil
}

// validateParts asks the packages that use the configuration what is wrong with it.
func validateParts(c config.Config) error {
	var errs []error
	if c.Platform.Kind != noPlatform {
		errs = append(errs, platformOptions(c).Validate())
	}
	errs = append(errs,
		underKey("catalog", catalogOptions(c).Validate()),
		underKey("rules", ruleOptions(c.Rules).Validate()))
	return errors.Join(errs...)
}

// noPlatform is the value of platform.kind that asks none.
const noPlatform = "none"

// platformOptions is how the shop's platform is asked.
func platformOptions(c config.Config) platform.Options {
	p := c.Platform
	return platform.Options{
		Kind:     p.Kind,
		URL:      string(p.URL),
		IDs:      p.IDs,
		Similar:  platform.Place{URL: string(p.Similar.URL), IDs: p.Similar.IDs},
		Shelf:    platform.Place{URL: string(p.Shelf.URL), IDs: p.Shelf.IDs},
		Headers:  p.Headers.Reveal(),
		Vars:     p.Vars.Reveal(),
		Timeout:  p.Timeout,
		Rate:     p.Rate,
		Daily:    p.Daily,
		Pages:    p.Pages,
		Insecure: p.Insecure,
	}
}

// catalogOptions is where the product feed is, and what it looks like.
func catalogOptions(c config.Config) catalog.Options {
	o := catalog.Defaults()
	o.File = c.Catalog.File
	o.URL = string(c.Catalog.URL)
	o.Headers = c.Catalog.Headers.Reveal()
	o.Format = c.Catalog.Format
	o.Columns = c.Catalog.Columns
	o.Refresh = c.Catalog.Refresh
	o.MaxProducts = c.Catalog.MaxProducts
	o.AllowShrink = c.Catalog.AllowShrink
	o.StockLife = c.Catalog.StockLife
	return o
}

// underKey puts a group's name before the keys that joined errors begin with.
func underKey(group string, err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return err
	}
	var errs []error
	for _, one := range joined.Unwrap() {
		errs = append(errs, fmt.Errorf("%s.%w", group, one))
	}
	return errors.Join(errs...)
}
