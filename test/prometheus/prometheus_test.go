package prometheus

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"polyclam/protocol/extended"
	"polyclam/test/child"
	"polyclam/test/testkit"
)

const (
	alerts    = "../../contrib/prometheus/alerts.yml"
	dashboard = "../../contrib/grafana/polyclam.json"
)

func require(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Skipf("NOT TESTED: %s is not installed (test/install installs it)", program)
	}
	return path
}

// server is a real Prometheus.
type server struct {
	t   *testing.T
	url string
}

// start starts a Prometheus that scrapes target twice a second.
func start(t *testing.T, target string) *server {
	t.Helper()
	program := require(t, "prometheus")
	dir := t.TempDir()
	rules, err := filepath.Abs(alerts)
	if err != nil {
		t.Fatal(err)
	}
	config := fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 250ms}\nrule_files: [%q]\n"+
		"scrape_configs:\n  - job_name: polyclam\n    static_configs: [{targets: [%q]}]\n", rules, target)
	if err := os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644); err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(dir, "log")
	for range 5 { // another process may take the port
		address := freeAddress(t)
		p, err := child.StartLogged(exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"),
			"--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+address), log)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Kill)
		s := &server{t: t, url: "http://" + address}
		testkit.Eventually(t, "Prometheus is ready", func() bool { return p.Ended() || s.get("/-/ready", nil) == nil })
		if !p.Ended() {
			return s
		}
	}
	text, _ := os.ReadFile(log)
	t.Fatalf("Prometheus does not start:\n%s", text)
	return nil
}

func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// get reads data from the API into data, unless that is nil.
func (s *server) get(path string, data any) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", s.url+path, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if data == nil {
		if answer.StatusCode != http.StatusOK {
			return fmt.Errorf("status %s", answer.Status)
		}
		return nil
	}
	reply := struct {
		Status, Error string
		Data          any
	}{Data: data}
	if err := json.NewDecoder(answer.Body).Decode(&reply); err != nil {
		return err
	}
	if reply.Status != "success" {
		return fmt.Errorf("%s: %s", reply.Status, reply.Error)
	}
	return nil
}

// query returns the values of a query, without those that are not numbers.
func (s *server) query(expr string) (values []string, err error) {
	var data struct {
		Result []struct{ Value [2]any }
	}
	if err := s.get("/api/v1/query?query="+url.QueryEscape(expr), &data); err != nil {
		return nil, err
	}
	for _, r := range data.Result {
		if v := fmt.Sprint(r.Value[1]); v != "NaN" {
			values = append(values, v)
		}
	}
	return values, nil
}

// A panel of the dashboard.
type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  *struct{ UID string }
	GridPos     struct{ H, W, X, Y int }
	Targets     []struct{ Expr, RefID string }
}

type board struct {
	Title      string
	Panels     []panel
	Templating struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
	Annotations struct{ List []struct{ Expr string } }
}

func readDashboard(t *testing.T) (b board) {
	t.Helper()
	text, err := os.ReadFile(dashboard)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &b); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDashboard checks what Grafana would not: that panels do not overlap, that each says
// what it is for, and uses the variables.
func TestDashboard(t *testing.T) {
	b := readDashboard(t)
	var variables []string
	for _, v := range b.Templating.List {
		variables = append(variables, v.Name+" "+v.Type)
	}
	if got := strings.Join(variables, ", "); got != "datasource datasource, instance query" {
		t.Errorf("the variables are %s", got)
	}
	ids, taken, rows, queries := map[int]bool{}, map[[2]int]string{}, 0, 0
	for _, p := range b.Panels {
		if ids[p.ID] {
			t.Errorf("two panels have the id %d", p.ID)
		}
		ids[p.ID] = true
		for x := range p.GridPos.W {
			for y := range p.GridPos.H {
				at := [2]int{p.GridPos.X + x, p.GridPos.Y + y}
				if other, ok := taken[at]; ok || at[0] >= 24 {
					t.Fatalf("%q overlaps %q at %v", p.Title, other, at)
				}
				taken[at] = p.Title
			}
		}
		if p.Type == "row" {
			rows++
			continue
		}
		if p.Description == "" || p.Datasource == nil || p.Datasource.UID != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("panel %q has no description, query or data source", p.Title)
		}
		for _, q := range p.Targets {
			queries++
			if !strings.Contains(q.Expr, `instance=~"$instance"`) {
				t.Errorf("panel %q: %s does not select the instance", p.Title, q.Expr)
			}
		}
	}
	if rows != 6 || queries < 40 {
		t.Errorf("%d rows and %d queries", rows, queries)
	}
}

var grafanaVariables = strings.NewReplacer("$__rate_interval", "10s", "$__range", "1m", "$instance", ".*")

// TestQueries has a real Prometheus scrape a daemon with mixed results and failures. Every
// query of the dashboard returns data, every rule is good, and alerts fire.
func TestQueries(t *testing.T) {
	require(t, "prometheus")
	d := startDaemon(t)
	s := start(t, d.target)
	ctx, cancel := context.WithCancel(t.Context())
	wait := d.load(ctx, t, 2, 20*time.Millisecond)
	defer func() { cancel(); wait() }()
	testkit.Eventually(t, "Prometheus has scraped", func() bool {
		values, err := s.query("count(count_over_time(polyclam_ready[1m]) > 8)")
		return err == nil && len(values) == 1
	})
	d.lost.Store(3)
	about := extended.About{MemoryNeeded: 1 << 30, MemoryLimit: 2 << 30, ConfigRefused: time.Now(), ConfigProblem: "as asked"}
	d.SetAbout(about)

	b := readDashboard(t)
	exprs := map[string]string{}
	for _, p := range b.Panels {
		for _, q := range p.Targets {
			exprs[grafanaVariables.Replace(q.Expr)] = p.Title
		}
	}
	for expr := range exprs {
		if strings.Contains(expr, "polyclam_cache_shared_up") { // missing: this daemon has no shared store
			delete(exprs, expr)
		}
	}
	n := len(exprs)
	for _, a := range b.Annotations.List {
		if _, err := s.query(grafanaVariables.Replace(a.Expr)); err != nil {
			t.Errorf("annotation %s: %v", a.Expr, err)
		}
	}
	for expr, title := range exprs {
		var err error
		end := time.Now().Add(30 * time.Second)
		for {
			var values []string
			if values, err = s.query(expr); err != nil || len(values) > 0 || time.Now().After(end) {
				if err == nil && len(values) == 0 {
					err = fmt.Errorf("no data")
				}
				break
			}
			time.Sleep(100 * time.Millisecond)
		}
		if err != nil {
			t.Errorf("panel %q: %s: %v", title, expr, err)
		}
	}
	t.Logf("count: DASHBOARD: %d queries, each with data from a real Prometheus", n)
	s.wantAlerts("PolyclamLogLinesLost", "PolyclamConfigRefused", "PolyclamNodeDown", "PolyclamSignaturesStale", "PolyclamTempfailRate")
}

// wantAlerts waits until alerts are pending or firing, and checks that all rules are good.
func (s *server) wantAlerts(names ...string) {
	s.t.Helper()
	var rules struct {
		Groups []struct {
			Rules []struct{ Name, Health, State, LastError string }
		}
	}
	for _, name := range names {
		testkit.Eventually(s.t, name+" is pending or fires", func() bool {
			values, err := s.query("ALERTS{alertname=\"" + name + "\"}")
			return err == nil && len(values) > 0
		})
	}
	if err := s.get("/api/v1/rules", &rules); err != nil || len(rules.Groups) != 1 || len(rules.Groups[0].Rules) < 10 {
		s.t.Fatalf("rules: %+v, %v", rules, err)
	}
	for _, r := range rules.Groups[0].Rules {
		if r.Health != "ok" {
			s.t.Errorf("%s: %s %s", r.Name, r.Health, r.LastError)
		}
	}
	quiet := regexp.MustCompile("^Polyclam(Down|RequiredEngineDown|EngineBlind|SpoolNearlyFull|NearConnectionLimit|FileSystemHangs)$")
	for _, r := range rules.Groups[0].Rules {
		if quiet.MatchString(r.Name) && r.State != "inactive" {
			s.t.Errorf("%s is %s", r.Name, r.State)
		}
	}
}

// TestAlerts runs the unit tests of the alerts, and checks that each alert has one and says
// what to do.
func TestAlerts(t *testing.T) {
	promtool := require(t, "promtool")
	for _, args := range [][]string{{"check", "rules", "alerts.yml"}, {"test", "rules", "alerts_test.yml"}} {
		c := exec.Command(promtool, args...)
		c.Dir = filepath.Dir(alerts)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	text, err := os.ReadFile(alerts)
	if err != nil {
		t.Fatal(err)
	}
	tests, err := os.ReadFile(strings.TrimSuffix(alerts, ".yml") + "_test.yml")
	if err != nil {
		t.Fatal(err)
	}
	rules := strings.Split(string(text), "- alert: ")[1:]
	for _, rule := range rules {
		name, _, _ := strings.Cut(rule, "\n")
		if !strings.Contains(string(tests), "- name: "+name+"\n") {
			t.Errorf("%s has no test", name)
		}
		for _, part := range []string{"summary: ", "description: ", "severity: ", "        # "} {
			if !strings.Contains(rule, part) {
				t.Errorf("%s has no %q", name, part)
			}
		}
	}
	t.Logf("count: ALERTS: %d, each with a test", len(rules))
}
