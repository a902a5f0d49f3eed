// Package deploy_test keeps what is deployed beside the program true of it: the alerts,
// their runbook and the dashboard name metrics that the built program has, the unit and
// the manifests variables that it reads.
package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v4"
)

const rulesFile = "prometheus/vitrine.rules.yaml"

// patience bounds waiting for the program to start.
const patience = 30 * time.Second

// alert is what the tests need of an alerting rule.
type alert struct {
	Alert       string
	Expr        string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) []alert {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []alert }
	}
	if err := yaml.Unmarshal(read(t, rulesFile), &file); err != nil {
		t.Fatal(err)
	}
	var all []alert
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	if len(all) == 0 {
		t.Fatal("got no alerts")
	}
	return all
}

func TestEveryAlertHasItsRunbook(t *testing.T) {
	sections := map[string]string{}
	for section := range strings.SplitSeq(string(read(t, "runbook.md")), "\n## ") {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = text
	}
	for _, a := range alerts(t) {
		text, ok := sections[a.Alert]
		if !ok {
			t.Errorf("got no section of the runbook for %s", a.Alert)
		}
		at := 0
		for _, part := range []string{"**Symptom.**", "**Metric.**", "**Action.**", "**Verification.**"} {
			found := strings.Index(text[at:], part)
			if found < 0 {
				t.Errorf("got no %s in its place in the section of %s", part, a.Alert)
				continue
			}
			at += found
		}
		if got, want := a.Annotations["runbook_url"], "deploy/runbook.md#"+strings.ToLower(a.Alert); got != want {
			t.Errorf("got %s's runbook_url %q, want %q", a.Alert, got, want)
		}
		if s := a.Labels["severity"]; s != "page" && s != "ticket" {
			t.Errorf("got %s's severity %q, want page or ticket", a.Alert, s)
		}
		if a.Annotations["summary"] == "" || a.Annotations["description"] == "" {
			t.Errorf("got %s without a summary or a description", a.Alert)
		}
		delete(sections, a.Alert)
	}
	for name := range sections {
		if strings.HasPrefix(name, "Vitrine") {
			t.Errorf("got a section of the runbook for %s, which is no alert", name)
		}
	}
}

// Links within the runbook lead somewhere.
func TestRunbookLinks(t *testing.T) {
	text := string(read(t, "runbook.md"))
	for _, link := range regexp.MustCompile(`\]\(#([a-z]+)\)`).FindAllStringSubmatch(text, -1) {
		if !regexp.MustCompile(`(?mi)^## ` + link[1] + `$`).MatchString(text) {
			t.Errorf("got a link to #%s, which is not there", link[1])
		}
	}
}

func TestRulesAreSound(t *testing.T) {
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", rulesFile)
	promtool(t, "test", "rules", "prometheus/vitrine.rules.test.yaml")
}

// Every alert is made to fire in the rules' own tests.
func TestEveryAlertIsTested(t *testing.T) {
	tests := string(read(t, "prometheus/vitrine.rules.test.yaml"))
	for _, a := range alerts(t) {
		if !strings.Contains(tests, `- labels: 'ALERTS{alertname="`+a.Alert+`", alertstate="firing"`) {
			t.Errorf("got no test in which %s fires", a.Alert)
		}
	}
}

// A variable that the program does not know would be warned about, and do nothing.
func TestVariablesAreKnown(t *testing.T) {
	known := string(read(t, "configuration.md")) + "`VITRINE_CONFIG`"
	for _, folder := range []string{"Dockerfile", "compose.yaml", "systemd", "kustomize", "helm"} {
		err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			for _, name := range regexp.MustCompile(`VITRINE_[A-Z_]+`).FindAllString(string(read(t, path)), -1) {
				if !strings.Contains(known, "`"+name+"`") {
					t.Errorf("%s sets %s, which is not in configuration.md", path, name)
				}
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// The health check is said twice: the OCI image format knows none.
func TestComposeChecksHealthAsTheImageDoes(t *testing.T) {
	var file struct {
		Services struct {
			Vitrine struct {
				Healthcheck struct {
					Test     []string
					Interval string
					Timeout  string
					Start    string `yaml:"start_period"`
					Retries  int
				}
				NetworkMode string `yaml:"network_mode"`
			}
		}
	}
	if err := yaml.Unmarshal(read(t, "compose.yaml"), &file); err != nil {
		t.Fatal(err)
	}
	c := file.Services.Vitrine.Healthcheck
	want := fmt.Sprintf("HEALTHCHECK --interval=%s --timeout=%s --start-period=%s --retries=%d CMD [%q, %q]",
		c.Interval, c.Timeout, c.Start, c.Retries, c.Test[1], c.Test[2])
	if !bytes.Contains(read(t, "Dockerfile"), []byte(want)) {
		t.Errorf("got no line %q in the Dockerfile", want)
	}
	if got, want := file.Services.Vitrine.NetworkMode, "service:shop"; got != want {
		t.Errorf("got the network %q, want %q: the data listener is on loopback", got, want)
	}
}

// maxExposure is the worst that systemd-analyze may say of the unit, in tenths; a unit
// without any protection gets 96.
const maxExposure = "15"

func TestUnitIsSoundAndConfined(t *testing.T) {
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not here")
	}
	// verify wants the program to be there.
	unit := bytes.ReplaceAll(read(t, "systemd/vitrine.service"), []byte("/usr/local/bin/vitrine"), []byte("/bin/true"))
	file := filepath.Join(t.TempDir(), "vitrine.service")
	if err := os.WriteFile(file, unit, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"verify", "--man=no", file},
		{"security", "--offline=true", "--threshold=" + maxExposure, file},
	} {
		out, err := exec.CommandContext(t.Context(), "systemd-analyze", args...).CombinedOutput()
		if err != nil {
			t.Errorf("systemd-analyze %s: %v\n%s", args[0], err, out)
		}
	}
}

// panel is what the tests need of a dashboard's panel.
type panel struct {
	ID      int
	Type    string
	Title   string
	Panels  []panel // of a row
	Targets []struct{ Expr, RefID string }
}

func dashboard(t *testing.T) []panel {
	t.Helper()
	var d struct{ Panels []panel }
	if err := json.Unmarshal(read(t, "grafana/dashboard.json"), &d); err != nil {
		t.Fatal(err)
	}
	var all []panel
	for _, p := range d.Panels {
		all = append(append(all, p), p.Panels...)
	}
	return all
}

// query is a panel's expression as Grafana would send it.
func query(expr string) string {
	return strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$job", ".+", "$instance", ".+").Replace(expr)
}

func TestDashboard(t *testing.T) {
	ids := map[int]bool{}
	var rules strings.Builder
	rules.WriteString("groups: [{name: dashboard, rules: [\n")
	for _, p := range dashboard(t) {
		if ids[p.ID] {
			t.Errorf("got the panel id %d twice", p.ID)
		}
		ids[p.ID] = true
		if p.Title == "" {
			t.Errorf("got panel %d without a title", p.ID)
		}
		if p.Type != "row" && p.Type != "text" && len(p.Targets) == 0 {
			t.Errorf("got panel %q without a query", p.Title)
		}
		for i, target := range p.Targets {
			expr, _ := json.Marshal(query(target.Expr)) // a string always can be
			fmt.Fprintf(&rules, "{record: 'panel:p%d:q%d', expr: %s},\n", p.ID, i, expr)
		}
	}
	rules.WriteString("]}]\n")
	file := filepath.Join(t.TempDir(), "dashboard.rules.yaml")
	if err := os.WriteFile(file, []byte(rules.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	promtool(t, "check", "rules", file) // every query parses
}

// A metric that is named somewhere is there from the program's start.
func TestMetricsAreThereAtZero(t *testing.T) {
	there := metrics(t)
	check := func(where, text string) {
		for _, name := range regexp.MustCompile(`\b(vitrine|go|process)_[a-z0-9_]+\b`).FindAllString(text, -1) {
			if !there[name] {
				t.Errorf("%s names %s, which the program does not have", where, name)
			}
		}
	}
	for _, a := range alerts(t) {
		check(a.Alert, a.Expr)
	}
	for _, p := range dashboard(t) {
		for _, target := range p.Targets {
			check("panel "+p.Title, target.Expr)
		}
	}
	check("the runbook", string(read(t, "runbook.md")))
}

// metrics are the names of all series of a program that nobody has asked anything yet.
func metrics(t *testing.T) map[string]bool {
	t.Helper()
	return scrape(t, serve(t, "--upstream.url=http://127.0.0.1:1").Probes)
}

func scrape(t *testing.T, address string) map[string]bool {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for line := range bytes.SplitSeq(body, []byte("\n")) {
		name := string(line[:max(0, bytes.IndexAny(line, "{ "))])
		names[name] = true
		// A histogram's own name is that of its native form.
		if base, ok := strings.CutSuffix(name, "_bucket"); ok {
			names[base] = true
		}
	}
	return names
}

// promtool runs Prometheus's own tool, which Debian has in its package prometheus.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	if _, err := exec.LookPath("promtool"); err != nil {
		t.Skip("promtool is not here: .ci/ensure promtool installs it")
	}
	out, err := exec.CommandContext(t.Context(), "promtool", args...).CombinedOutput()
	if err != nil {
		t.Errorf("promtool %s: %v\n%s", strings.Join(slices.Clone(args), " "), err, out)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
