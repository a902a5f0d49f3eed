package trace

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// FromEnvironment reads the variables that OpenTelemetry specifies
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/), as far as they mean
// something here, out of lines such as [os.Environ] gives. Tracing is off, and on is false, unless an endpoint is set. The error
// joins what is wrong; as the specification wants it, nothing of that keeps the rest from being used.
func FromEnvironment(environ []string) (o Options, on bool, err error) {
	set := make(map[string]string)
	for _, line := range environ {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, "OTEL_") {
			set[name] = strings.TrimSpace(value)
		}
	}
	// of is what is set for traces, or for all signals.
	of := func(name string) string {
		if own := set["OTEL_EXPORTER_OTLP_TRACES_"+name]; own != "" {
			return own
		}
		return set["OTEL_EXPORTER_OTLP_"+name]
	}
	o.URL = of("ENDPOINT")
	if o.URL == "" || strings.EqualFold(set["OTEL_SDK_DISABLED"], "true") || set["OTEL_TRACES_EXPORTER"] == "none" {
		return Options{}, false, nil
	}
	if set["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] == "" {
		o.URL = strings.TrimSuffix(o.URL, "/") + "/v1/traces"
	}
	var errs []error
	failed := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if protocol := of("PROTOCOL"); protocol != "" && protocol != "http/protobuf" {
		failed(errors.New("OTEL_EXPORTER_OTLP_PROTOCOL: only http/protobuf is spoken here, usually on port 4318"))
	}
	if text := of("TIMEOUT"); text != "" {
		milliseconds, errTimeout := strconv.ParseUint(text, 10, 31)
		if errTimeout != nil {
			failed(errors.New("OTEL_EXPORTER_OTLP_TIMEOUT: it must be a number of milliseconds; 10000 is used"))
		}
		o.Timeout = time.Duration(milliseconds) * time.Millisecond
	}
	o.Headers, err = pairs("OTEL_EXPORTER_OTLP_HEADERS", of("HEADERS"))
	failed(err)
	o.Resource, err = pairs("OTEL_RESOURCE_ATTRIBUTES", set["OTEL_RESOURCE_ATTRIBUTES"])
	failed(err)
	if name := set["OTEL_SERVICE_NAME"]; name != "" {
		o.Resource["service.name"] = name
	} else if o.Resource["service.name"] == "" {
		o.Resource["service.name"] = "vitrine"
	}
	o.Sampler, err = ParseSampler(set["OTEL_TRACES_SAMPLER"], set["OTEL_TRACES_SAMPLER_ARG"])
	failed(err)
	return o, true, errors.Join(errs...)
}

// pairs reads "key=value,key=value", whose values are percent-encoded. One that is wrong spoils all.
// The error quotes nothing: it may be a secret.
func pairs(name, text string) (map[string]string, error) {
	all := make(map[string]string)
	for pair := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		key, value, found := strings.Cut(pair, "=")
		key = strings.TrimSpace(key)
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || key == "" || err != nil {
			return make(map[string]string), fmt.Errorf("%s: it must be pairs such as key=value, separated by commas, percent-encoded; none is used", name)
		}
		all[key] = value
	}
	return all, nil
}
