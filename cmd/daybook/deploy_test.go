package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"go.yaml.in/yaml/v3"
)

const deployDir = "../../deploy"

// deployFile reads a file of the folder deploy.
func deployFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(deployDir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// documentsOf reads all documents of a YAML file into values of a type.
func documentsOf[T any](t *testing.T, name string) (all []T) {
	t.Helper()
	for decoder := yaml.NewDecoder(strings.NewReader(deployFile(t, name))); ; {
		var one T
		err := decoder.Decode(&one)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		all = append(all, one)
	}
}

// accepts fails unless the program accepts a command line with these variables. files are contents
// of files that the settings name.
func accepts(t *testing.T, where string, args []string, env map[string]string) {
	t.Helper()
	filled := map[string]string{}
	for name, value := range env {
		switch {
		case value == "": // as if it were not set
		case strings.HasSuffix(name, "TOKEN_FILE"):
			value = writeFile(t, "token", strings.Repeat("t", 64))
		case strings.HasSuffix(name, "BACKUP_DIR"):
			value = t.TempDir()
		case name == backupRecipient:
			if got := call(t, map[string]string{name: value, "DAYBOOK_BACKUP_EVERY": "24h", "DAYBOOK_BACKUP_DIR": t.TempDir()}, "serve", "--print-config"); got.code == exitOK {
				t.Errorf("%s encrypts backups for %s, whose private key the shop does not have", where, value)
			}
			value = someRecipient
		}
		filled[name] = value
		if !knownVariable(t, name) {
			t.Errorf("%s sets %s, which the program does not read", where, name)
		}
	}
	if env["DAYBOOK_BACKUP_EVERY"] != "" && env[backupRecipient] == "" {
		t.Errorf("%s schedules backups that everyone can read", where)
	}
	if got := call(t, filled, append(slices.Clone(args), "--print-config")...); got.code != exitOK {
		t.Errorf("%s: daybook %s: %s", where, strings.Join(args, " "), got.stderr)
	}
}

const (
	backupRecipient = "DAYBOOK_BACKUP_RECIPIENT"
	someRecipient   = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
)

func knownVariable(t *testing.T, name string) bool {
	t.Helper()
	for _, flag := range allFlags(t) {
		if flag.Tag.Get("from") == name {
			return true
		}
	}
	return strings.HasPrefix(name, "OTEL_")
}

// composed is what the tests read of compose.yaml.
type composed struct {
	Services map[string]struct {
		Build struct {
			Context, Dockerfile, Target string
		}
		Image       string
		Command     any
		Environment map[string]string
		Volumes     []string
		Secrets     []string
		Networks    []string
	}
	Networks map[string]any
	Volumes  map[string]any
	Secrets  map[string]struct{ File string }
}

// variableOf replaces ${NAME:-default} and ${NAME:?complaint} in compose.yaml.
var variableOf = regexp.MustCompile(`\$\{([A-Z_]+)(?::-([^}]*)|:\?[^}]*)?\}`)

func substituted(text string) string {
	return variableOf.ReplaceAllStringFunc(text, func(found string) string {
		if given := variableOf.FindStringSubmatch(found)[2]; given != "" {
			return given
		}
		return "secret"
	})
}

// The compose file works alone, and with the file that adds KurrentDB.
func TestTheComposeFilesFitTheProgram(t *testing.T) {
	t.Parallel()
	checkComposed(t, "compose.yaml", documentsOf[composed](t, "compose.yaml")[0])
	whole, over := documentsOf[composed](t, "compose.yaml")[0], documentsOf[composed](t, "compose.kurrentdb.yaml")[0]
	maps.Copy(whole.Services["daybook"].Environment, over.Services["daybook"].Environment)
	delete(over.Services, "daybook")
	maps.Copy(whole.Services, over.Services)
	maps.Copy(whole.Volumes, over.Volumes)
	if whole.Services["daybook"].Environment["KURRENTDB_URL"] == "" || whole.Services["kurrentdb"].Image == "" {
		t.Error("compose.kurrentdb.yaml does not add KurrentDB")
	}
	checkComposed(t, "compose.kurrentdb.yaml", whole)
}

// checkComposed checks a whole file for compose.
func checkComposed(t *testing.T, where string, file composed) {
	t.Helper()
	shop := file.Services["daybook"]
	var args []string
	for _, arg := range shop.Command.([]any) { //nolint:forcetypeassert // a wrong file should fail
		args = append(args, arg.(string)) //nolint:forcetypeassert // a wrong file should fail
	}
	env := map[string]string{}
	for name, value := range shop.Environment {
		env[name] = substituted(value)
	}
	accepts(t, where, args, env)
	dockerfile := deployFile(t, filepath.Base(shop.Build.Dockerfile))
	if !strings.Contains(dockerfile, " AS "+shop.Build.Target+"\n") {
		t.Errorf("the Dockerfile has no stage %s", shop.Build.Target)
	}
	for name, service := range file.Services {
		for _, volume := range service.Volumes {
			source, target, _ := strings.Cut(volume, ":")
			_, named := file.Volumes[source]
			if _, err := os.Stat(filepath.Join(deployDir, source)); !named && (!strings.HasPrefix(source, "./") || err != nil) || !strings.HasPrefix(target, "/") {
				t.Errorf("%s: the volume %s leads nowhere", name, volume)
			}
		}
		for _, network := range service.Networks {
			if _, there := file.Networks[network]; !there {
				t.Errorf("%s: there is no network %s", name, network)
			}
		}
		for _, secret := range service.Secrets {
			if file.Secrets[secret].File == "" {
				t.Errorf("%s: there is no secret %s", name, secret)
			}
		}
		if service.Image == "" && service.Build.Target == "" || strings.HasSuffix(service.Image, ":latest") {
			t.Errorf("%s: the image %q", name, service.Image)
		}
	}
	if !strings.Contains(deployFile(t, "Caddyfile"), "reverse_proxy daybook:8080") || env["DAYBOOK_LISTEN"] != "0.0.0.0:8080" {
		t.Error("the proxy and the server use different ports")
	}
	if !strings.Contains(deployFile(t, "prometheus.yml"), `"daybook:9090"`) || env["DAYBOOK_ADMIN_ADDRESS"] != "0.0.0.0:9090" {
		t.Error("Prometheus and the admin port use different ports")
	}
}

var (
	copied     = regexp.MustCompile(`(?m)^COPY (?:--\S+ )*(.+) \S+$`)
	fromStage  = regexp.MustCompile(`(?m)^FROM (\S+) AS (\S+)$`)
	entrypoint = regexp.MustCompile(`(?m)^(ENTRYPOINT|CMD) (\[.*\])$`)
	setting    = regexp.MustCompile(`(?m)^(?:ENV )?([A-Z_]+)=(.*)$`)
)

// Both images run the program as a user that is not root, with a command line that it takes.
func TestTheDockerfileFitsTheProgram(t *testing.T) {
	t.Parallel()
	text := deployFile(t, "Dockerfile")
	stages := fromStage.FindAllStringSubmatchIndex(text, -1)
	if len(stages) != 3 {
		t.Fatalf("%d stages, want build, small and standalone", len(stages))
	}
	for i, stage := range stages {
		end := len(text)
		if i+1 < len(stages) {
			end = stages[i+1][0]
		}
		name, body := text[stage[4]:stage[5]], text[stage[1]:end]
		for _, line := range copied.FindAllStringSubmatch(body, -1) {
			for _, source := range strings.Fields(line[1]) {
				if _, err := os.Stat(filepath.Join("../..", source)); err != nil && !strings.Contains(line[0], "--from=build") {
					t.Errorf("%s: COPY %s: %v", name, source, err)
				}
			}
		}
		if name == "build" {
			continue
		}
		user := regexp.MustCompile(`(?m)^USER (\d+):(\d+)$`).FindStringSubmatch(body)
		if user == nil || user[1] == "0" || user[2] == "0" {
			t.Errorf("%s runs as root", name)
		}
		var args []string
		for _, line := range entrypoint.FindAllStringSubmatch(body, -1) {
			var words []string
			if err := json.Unmarshal([]byte(line[2]), &words); err != nil {
				t.Errorf("%s: %s: %v", name, line[0], err)
			}
			args = append(args, words...)
		}
		if len(args) == 0 || !strings.Contains(body, " "+args[0]+"\n") {
			t.Fatalf("%s starts %q, which it does not have", name, args)
		}
		accepts(t, "the image "+name, args[1:], settingsIn(body))
	}
}

func settingsIn(text string) map[string]string {
	all := map[string]string{}
	for _, line := range setting.FindAllStringSubmatch(text, -1) {
		all[line[1]] = line[2]
	}
	return all
}

func TestTheUnitFitsTheProgram(t *testing.T) {
	t.Parallel()
	unit := deployFile(t, "daybook.service")
	started := regexp.MustCompile(`(?m)^ExecStart=(\S+) (.*)$`).FindStringSubmatch(unit)
	if started == nil {
		t.Fatal("the unit starts nothing")
	}
	env := settingsIn(deployFile(t, "daybook.env"))
	if len(env) < 5 {
		t.Errorf("daybook.env has the settings %v", env)
	}
	accepts(t, "daybook.service", strings.Fields(started[2]), env)
	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed")
	}
	path := filepath.Join(t.TempDir(), "daybook.service")
	program, err := exec.LookPath("true") // in place of the program, which is not installed
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(unit, started[1], program, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "systemd-analyze", "verify", "--man=no", path).CombinedOutput()
	if complaint := regexp.MustCompile(`(?m)^.*daybook\.service.*$`).Find(out); err != nil || complaint != nil {
		t.Errorf("systemd-analyze: %v\n%s", err, out)
	}
}

// manifest is what the tests read of a Kubernetes object.
type manifest struct {
	Kind     string
	Metadata struct {
		Name   string
		Labels map[string]string
	}
	Spec struct {
		Selector yaml.Node
		Ports    []struct {
			TargetPort string `yaml:"targetPort"`
		}
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     struct {
				SecurityContext struct {
					RunAsNonRoot bool `yaml:"runAsNonRoot"`
					RunAsUser    int  `yaml:"runAsUser"`
				} `yaml:"securityContext"`
				Containers []container
				Volumes    []struct{ Name string }
			}
		}
	}
}

type container struct {
	Args []string
	Env  []struct {
		Name, Value string
		ValueFrom   map[string]any `yaml:"valueFrom"`
	}
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe  kubeProbe `yaml:"livenessProbe"`
	ReadinessProbe kubeProbe `yaml:"readinessProbe"`
	VolumeMounts   []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
	} `yaml:"volumeMounts"`
}

type kubeProbe struct {
	HTTPGet struct {
		Path, Port  string
		HTTPHeaders []struct{ Name, Value string } `yaml:"httpHeaders"`
	} `yaml:"httpGet"`
}

func TestTheManifestsFitTheProgram(t *testing.T) {
	t.Parallel()
	objects := map[string]manifest{}
	for _, one := range documentsOf[manifest](t, "kubernetes.yaml") {
		objects[one.Kind] = one
	}
	want := []string{"Deployment", "Ingress", "PodDisruptionBudget", "Service"}
	if kinds := slices.Sorted(maps.Keys(objects)); !slices.Equal(kinds, want) {
		t.Fatalf("kinds %q, want %q", kinds, want)
	}
	pod := objects["Deployment"].Spec.Template
	if !pod.Spec.SecurityContext.RunAsNonRoot || pod.Spec.SecurityContext.RunAsUser == 0 {
		t.Error("the pod may run as root")
	}
	for _, kind := range []string{"Deployment", "Service", "PodDisruptionBudget"} {
		selector := map[string]any{}
		spec := objects[kind].Spec
		if err := spec.Selector.Decode(&selector); err != nil {
			t.Fatal(err)
		}
		if labels, is := selector["matchLabels"].(map[string]any); is {
			selector = labels
		}
		if fmt.Sprint(selector) != fmt.Sprint(pod.Metadata.Labels) {
			t.Errorf("%s selects %v, and the pods have %v", kind, selector, pod.Metadata.Labels)
		}
	}
	node := pod.Spec.Containers[0]
	env, ports := map[string]string{}, map[string]int{}
	for _, one := range node.Env {
		env[one.Name] = one.Value
		if one.ValueFrom != nil {
			env[one.Name] = "postgres://daybook:secret@db/daybook"
		}
	}
	accepts(t, "kubernetes.yaml", node.Args, env)
	for _, one := range node.Ports {
		ports[one.Name] = one.ContainerPort
	}
	if env["DAYBOOK_LISTEN"] != fmt.Sprintf("0.0.0.0:%d", ports["http"]) || env["DAYBOOK_ADMIN_ADDRESS"] != fmt.Sprintf("0.0.0.0:%d", ports["admin"]) {
		t.Errorf("the ports are %v, and the program listens at %s and %s", ports, env["DAYBOOK_LISTEN"], env["DAYBOOK_ADMIN_ADDRESS"])
	}
	if target := objects["Service"].Spec.Ports[0].TargetPort; ports[target] == 0 {
		t.Errorf("the service leads to the port %s, which the pods lack", target)
	}
	if !strings.HasPrefix(env["DAYBOOK_ADMIN_TOKEN_FILE"], node.VolumeMounts[0].MountPath+"/") || node.VolumeMounts[0].Name != pod.Spec.Volumes[0].Name {
		t.Error("the token is not where the program looks for it")
	}
	document, err := apiDocument()
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range []kubeProbe{node.LivenessProbe, node.ReadinessProbe} {
		get := one.HTTPGet
		if ports[get.Port] == 0 || !bytes.Contains(document, []byte(`"`+get.Path+`":{`)) || len(get.HTTPHeaders) != 1 || get.HTTPHeaders[0].Value != "localhost" {
			t.Errorf("the probe %+v asks for something that the program does not serve", get)
		}
	}
}

var (
	promMetric = regexp.MustCompile(`\b(daybook_[a-z0-9_]+)(?:\{([^}]*)\})?`)
	promBy     = regexp.MustCompile(`\bby \(([^)]*)\)`)
	promLabel  = regexp.MustCompile(`([a-z_]+)\s*(?:=~|!~|!=|=)`)
	legend     = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-z_]+)\s*\}\}`)
)

// metricsKnown has the labels of each metric in the list of all metrics.
func metricsKnown(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(metricsFile)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		labels := []string{"instance", "job"} // Prometheus adds these
		if len(words) > 2 {
			labels = append(labels, strings.Split(words[2], ",")...)
		}
		names := []string{words[0]}
		if words[1] == "histogram" {
			names = []string{words[0] + "_bucket", words[0] + "_sum", words[0] + "_count"}
		}
		for _, name := range names {
			all[name] = labels
		}
	}
	return all
}

// checkQuery fails if a query names a metric or a label that no node has.
func checkQuery(t *testing.T, where, query string, exists map[string][]string, shown ...string) {
	t.Helper()
	found := promMetric.FindAllStringSubmatch(query, -1)
	if len(found) == 0 && !strings.Contains(query, `{job="daybook"}`) {
		t.Errorf("%s asks for no metric of Daybook: %s", where, query)
	}
	for _, one := range found {
		labels, there := exists[one[1]]
		if !there {
			t.Errorf("%s names the metric %s, which no node has", where, one[1])
			continue
		}
		wanted := slices.Clone(shown)
		for _, label := range promLabel.FindAllStringSubmatch(one[2], -1) {
			wanted = append(wanted, label[1])
		}
		for _, by := range promBy.FindAllStringSubmatch(query, -1) {
			wanted = append(wanted, strings.FieldsFunc(by[1], func(r rune) bool { return r == ',' || r == ' ' })...)
		}
		for _, label := range wanted {
			if !slices.Contains(labels, label) {
				t.Errorf("%s: %s has no label %s", where, one[1], label)
			}
		}
	}
	if strings.Count(query, "(") != strings.Count(query, ")") || strings.Count(query, "{") != strings.Count(query, "}") {
		t.Errorf("%s has brackets that do not close: %s", where, query)
	}
}

// The alerts and the dashboard name only metrics and labels that a node has. docs/operations.md
// says for each alert what to do.
func TestAlertsAndTheDashboardNameOnlyMetricsThatExist(t *testing.T) {
	t.Parallel()
	exists := metricsKnown(t)
	type rule struct {
		Alert, Expr, For string
		Labels           map[string]string
		Annotations      map[string]string
	}
	var rules []rule
	for _, file := range documentsOf[struct {
		Groups []struct{ Rules []rule }
	}](t, "alerts.yml") {
		for _, group := range file.Groups {
			rules = append(rules, group.Rules...)
		}
	}
	manual := document(t, "docs/operations.md")
	for _, one := range rules {
		var shown []string
		for _, label := range legend.FindAllStringSubmatch(one.Annotations["summary"], -1) {
			shown = append(shown, label[1])
		}
		checkQuery(t, one.Alert, one.Expr, exists, shown...)
		if severity := one.Labels["severity"]; severity != "page" && severity != "warn" || one.Annotations["summary"] == "" {
			t.Errorf("%s: labels %v, annotations %v", one.Alert, one.Labels, one.Annotations)
		}
		if !strings.Contains(manual, "| `"+one.Alert+"` |") {
			t.Errorf("docs/operations.md does not say what to do about %s", one.Alert)
		}
	}
	if listed := len(regexp.MustCompile("(?m)^\\| `Daybook[A-Za-z]+` \\|").FindAllString(manual, -1)); listed != len(rules) || len(rules) < 10 {
		t.Errorf("docs/operations.md lists %d alerts, and there are %d", listed, len(rules))
	}
	var board struct {
		Panels []struct {
			Title   string
			Targets []struct {
				Expr   string `json:"expr"`
				Legend string `json:"legendFormat"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal([]byte(deployFile(t, "grafana/daybook.json")), &board, json.MatchCaseInsensitiveNames(true)); err != nil {
		t.Fatal(err)
	}
	if len(board.Panels) < 15 {
		t.Errorf("%d panels", len(board.Panels))
	}
	for _, panel := range board.Panels {
		for _, target := range panel.Targets {
			var shown []string
			for _, label := range legend.FindAllStringSubmatch(target.Legend, -1) {
				shown = append(shown, label[1])
			}
			checkQuery(t, panel.Title, target.Expr, exists, shown...)
		}
	}
}

// Every file of the folder is named in its README, and each file there is YAML, JSON or text that
// can be read.
func TestTheFolderDeployIsDescribed(t *testing.T) {
	t.Parallel()
	about := deployFile(t, "README.md")
	err := filepath.WalkDir(deployDir, func(path string, entry fs.DirEntry, err error) error {
		name, _ := filepath.Rel(deployDir, path)
		if err != nil || entry.IsDir() || name == "README.md" {
			return err
		}
		if top, _, _ := strings.Cut(filepath.ToSlash(name), "/"); !strings.Contains(about, "`"+top) {
			t.Errorf("README.md does not name %s", name)
		}
		if ext := filepath.Ext(name); ext == ".yaml" || ext == ".yml" {
			documentsOf[map[string]any](t, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
