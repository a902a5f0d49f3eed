package platform_test

import (
	"slices"
	"strings"
	"testing"

	"vitrine/fallback/platform"
)

func TestValidateReportsEverything(t *testing.T) {
	f := func(o platform.Options, want ...string) {
		t.Helper()
		var got []string
		if err := o.Validate(); err != nil {
			for line := range strings.SplitSeq(err.Error(), "\n") {
				key, _, _ := strings.Cut(line, ": ")
				got = append(got, key)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: got %q, want %q\n%v", o, got, want, o.Validate())
		}
	}
	const address = "https://shop.test/{id}"
	f(platform.Options{Kind: "http", URL: address, IDs: "#.id"})
	f(platform.Options{Kind: "http", Shelf: platform.Place{URL: "https://shop.test/best", IDs: "#.id"}})
	f(platform.Options{Kind: "ebay"}, "platform.kind")
	f(platform.Options{Kind: "http"}, "platform.url")
	f(platform.Options{Kind: "http", URL: address}, "platform.ids")
	f(platform.Options{Kind: "http", IDs: "#.id"}, "platform.url")
	f(platform.Options{
		Kind: "http", URL: "ftp://shop.test/{id}", IDs: "a",
		Similar: platform.Place{URL: "https://{id}.test/", IDs: "a"},
		Shelf:   platform.Place{URL: address, IDs: "a"},
		Headers: map[string]string{"a b": "x", "X-Y": "1\n2"},
		Timeout: -1, Rate: -1, Daily: -1, Pages: -1, MaxBody: -1,
	}, "platform.url", "platform.similar.url", "platform.shelf.url",
		"platform.headers.X-Y", "platform.headers",
		"platform.timeout", "platform.rate", "platform.daily", "platform.pages", "MaxBody")
	f(platform.Options{Kind: "http", URL: "https://shop.test/all", IDs: "a"}, "platform.url")        // no {id}
	f(platform.Options{Kind: "http", URL: "https://shop.test/{id}/{x}", IDs: "a"}, "platform.url")   // no such variable
	f(platform.Options{Kind: "http", URL: "https://me:pw@shop.test/{id}", IDs: "a"}, "platform.url") // a password
	f(platform.Options{Kind: "http", URL: "/native?{id}", IDs: "a"}, "platform.url")                 // no host
	f(platform.Options{Kind: "http", URL: "https://shop.test/{id}/{x}", IDs: "a", Vars: map[string]string{"x": "1"}})
	f(platform.Options{Kind: "vtex", Vars: map[string]string{"acount": "x"}}, "platform.vars.account", "platform.vars.acount")
	f(platform.Options{Kind: "vtex", Vars: map[string]string{"base": "https://shop.test"}}) // replaces the account
	f(platform.Options{Kind: "shopify", Vars: map[string]string{"shop": "x"}}, "platform.headers.X-Shopify-Storefront-Access-Token")
	f(platform.Options{Kind: "wake", Headers: map[string]string{"tcs-access-token": "t"}})
}

func TestSecretsStayOffPlainHTTP(t *testing.T) {
	o := platform.Options{Kind: "http", URL: "http://shop.test/{id}", IDs: "a"}
	f := func(want bool) {
		t.Helper()
		if err := o.Validate(); (err == nil) != want {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	f(true)
	o.Headers = map[string]string{"X-Token": "t"}
	f(false)
	o.Insecure = true
	f(true)
	o.Insecure, o.URL = false, "http://127.0.0.1:80/{id}"
	f(true)
	o = platform.Options{Kind: "tray", Vars: map[string]string{"base": "http://shop.test", "token": "t"}}
	f(false)
}

func TestValidateTellsNoSecret(t *testing.T) {
	err := platform.Options{
		Kind: "tray", Vars: map[string]string{"base": "::", "token": "s3cret"},
		Headers: map[string]string{"X-Token": "s3cret\n"},
	}.Validate()
	if err == nil || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("got %v", err)
	}
}

func TestOwnAddressOverAPreset(t *testing.T) {
	o := platform.Options{
		Kind: "magento", Vars: map[string]string{"base": "https://shop.test"},
		Shelf: platform.Place{URL: "https://shop.test/best.json", IDs: "skus"},
	}
	client := newClient(t, o)
	for _, list := range platform.Lists() {
		if !client.Serves(list) {
			t.Errorf("%v is not served", list)
		}
	}
}

func TestFingerprint(t *testing.T) {
	o := platform.Options{Kind: "woocommerce", Vars: map[string]string{"base": "https://a.test"}}
	first := newClient(t, o).Fingerprint()
	if got := newClient(t, o).Fingerprint(); got != first {
		t.Errorf("got %s and %s for one configuration", first, got)
	}
	o.Vars = map[string]string{"base": "https://b.test"}
	if got := newClient(t, o).Fingerprint(); got == first {
		t.Errorf("got %s for two shops", got)
	}
}
