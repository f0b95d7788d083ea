package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"
)

// The types below have exactly the fields that the files in deploy use, under the names that
// Kubernetes, Prometheus and Grafana give them. They are read strictly, so a misspelt field or a
// field in the wrong place is an error, as it is for these programs themselves.

type kubeHead struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   kubeMeta
}

type kubeMeta struct {
	Name   string
	Labels map[string]string
}

type kubeSelector struct {
	MatchLabels map[string]string `yaml:"matchLabels"`
}

type kubeDeployment struct {
	kubeHead `yaml:",inline"`

	Spec struct {
		Replicas int
		Selector kubeSelector
		Strategy struct{ Type string }
		Template struct {
			Metadata kubeMeta
			Spec     kubePod
		}
	}
}

type kubePod struct {
	TerminationGracePeriodSeconds int  `yaml:"terminationGracePeriodSeconds"`
	AutomountServiceAccountToken  bool `yaml:"automountServiceAccountToken"`
	SecurityContext               struct {
		RunAsNonRoot   bool                  `yaml:"runAsNonRoot"`
		RunAsUser      int                   `yaml:"runAsUser"`
		RunAsGroup     int                   `yaml:"runAsGroup"`
		FSGroup        int                   `yaml:"fsGroup"`
		SeccompProfile struct{ Type string } `yaml:"seccompProfile"`
	} `yaml:"securityContext"`
	Containers []kubeContainer
	Volumes    []struct {
		Name   string
		Secret struct {
			SecretName string `yaml:"secretName"`
			Items      []struct{ Key, Path string }
		}
	}
}

type kubeContainer struct {
	Name, Image string
	Args        []string
	Env         []struct {
		Name, Value string
		ValueFrom   *struct {
			SecretKeyRef struct{ Name, Key string } `yaml:"secretKeyRef"`
		} `yaml:"valueFrom"`
	}
	Ports []struct {
		Name          string
		ContainerPort int `yaml:"containerPort"`
	}
	LivenessProbe  kubeStrictProbe `yaml:"livenessProbe"`
	ReadinessProbe kubeStrictProbe `yaml:"readinessProbe"`
	Resources      struct {
		Requests, Limits struct{ CPU, Memory string }
	}
	SecurityContext struct {
		AllowPrivilegeEscalation bool                    `yaml:"allowPrivilegeEscalation"`
		ReadOnlyRootFilesystem   bool                    `yaml:"readOnlyRootFilesystem"`
		Capabilities             struct{ Drop []string } `yaml:"capabilities"`
	} `yaml:"securityContext"`
	VolumeMounts []struct {
		Name      string
		MountPath string `yaml:"mountPath"`
		ReadOnly  bool   `yaml:"readOnly"`
	} `yaml:"volumeMounts"`
}

type kubeStrictProbe struct {
	HTTPGet        kubeGet `yaml:"httpGet"`
	PeriodSeconds  int     `yaml:"periodSeconds"`
	TimeoutSeconds int     `yaml:"timeoutSeconds"`
}

type kubeGet struct {
	Path, Port  string
	HTTPHeaders []struct{ Name, Value string } `yaml:"httpHeaders"`
}

type kubeService struct {
	kubeHead `yaml:",inline"`

	Spec struct {
		Selector map[string]string
		Ports    []struct {
			Name       string
			Port       int
			TargetPort string `yaml:"targetPort"`
		}
	}
}

type kubeIngress struct {
	kubeHead `yaml:",inline"`

	Spec struct {
		TLS []struct {
			Hosts      []string
			SecretName string `yaml:"secretName"`
		}
		Rules []struct {
			Host string
			HTTP struct {
				Paths []struct {
					Path     string
					PathType string `yaml:"pathType"`
					Backend  struct {
						Service struct {
							Name string
							Port struct{ Name string }
						}
					}
				}
			}
		}
	}
}

type kubeBudget struct {
	kubeHead `yaml:",inline"`

	Spec struct {
		MinAvailable int `yaml:"minAvailable"`
		Selector     kubeSelector
	}
}

// jobLabel is a job that a query asks for.
var jobLabel = regexp.MustCompile(`\bjob="([^"]*)"`)

// strictly reads one document of YAML into a value, and refuses fields that its type lacks.
func strictly(t *testing.T, where, text string, into any) {
	t.Helper()
	decoder := yaml.NewDecoder(strings.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", where, err)
	}
	var more any
	if err := decoder.Decode(&more); !errors.Is(err, io.EOF) {
		t.Fatalf("%s has more than one document", where)
	}
}

// Both compose files are as the Compose Specification wants them. Its schema is compose-spec.json,
// from compose-go v2.9.0 (Apache License 2.0).
func TestTheComposeFilesAreAsSpecified(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/compose-spec.json")
	if err != nil {
		t.Fatal(err)
	}
	specified, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("compose-spec.json", specified); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("compose-spec.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"compose.yaml": document(t, "compose.yaml"), "deploy/compose.yaml": deployFile(t, "compose.yaml"), "deploy/compose.kurrentdb.yaml": deployFile(t, "compose.kurrentdb.yaml")} {
		var file map[string]any
		strictly(t, name, text, &file)
		if err := schema.Validate(file); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

var (
	kubeName     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)
	kubeQuantity = regexp.MustCompile(`^[0-9]+(m|Ki|Mi|Gi)?$`)
)

// The manifests for Kubernetes have only fields that Kubernetes knows, and their parts fit
// together.
func TestTheManifestsAreStrict(t *testing.T) {
	t.Parallel()
	var pods kubeDeployment
	var service kubeService
	var ingress kubeIngress
	var budget kubeBudget
	objects := map[string]struct {
		into    any
		head    *kubeHead
		version string
	}{
		"Deployment": {&pods, &pods.kubeHead, "apps/v1"}, "Service": {&service, &service.kubeHead, "v1"},
		"Ingress": {&ingress, &ingress.kubeHead, "networking.k8s.io/v1"}, "PodDisruptionBudget": {&budget, &budget.kubeHead, "policy/v1"},
	}
	documents := strings.Split(deployFile(t, "kubernetes.yaml"), "\n---\n")
	if len(documents) != len(objects) {
		t.Errorf("%d documents, want %d", len(documents), len(objects))
	}
	for _, text := range documents {
		var head kubeHead
		if err := yaml.Unmarshal([]byte(text), &head); err != nil {
			t.Fatal(err)
		}
		object, known := objects[head.Kind]
		if !known {
			t.Errorf("the kind %q is not known", head.Kind)
			continue
		}
		strictly(t, head.Kind, text, object.into)
		if object.head.APIVersion != object.version || !kubeName.MatchString(object.head.Metadata.Name) {
			t.Errorf("%s: %+v, want the version %s", head.Kind, *object.head, object.version)
		}
	}
	node := pods.Spec.Template.Spec.Containers[0]
	for _, quantity := range []string{node.Resources.Requests.CPU, node.Resources.Requests.Memory, node.Resources.Limits.Memory} {
		if !kubeQuantity.MatchString(quantity) {
			t.Errorf("%q is no amount of processors or memory", quantity)
		}
	}
	security := node.SecurityContext
	if security.AllowPrivilegeEscalation || !security.ReadOnlyRootFilesystem || !slices.Equal(security.Capabilities.Drop, []string{"ALL"}) {
		t.Errorf("the container may do too much: %+v", security)
	}
	for _, probe := range []kubeStrictProbe{node.LivenessProbe, node.ReadinessProbe} {
		if probe.TimeoutSeconds < 1 || probe.PeriodSeconds < probe.TimeoutSeconds {
			t.Errorf("the probe %+v", probe)
		}
	}
	if pods.Spec.Strategy.Type != "Recreate" || pods.Spec.Template.Spec.TerminationGracePeriodSeconds < 15 {
		t.Error("an update must stop all old nodes first, and let their requests end")
	}
	checkIngress(t, ingress, service, node)
	checkPodSecrets(t, pods.Spec.Template.Spec)
}

// checkIngress fails unless the ingress leads to the service, for a host that the node accepts.
func checkIngress(t *testing.T, ingress kubeIngress, service kubeService, node kubeContainer) {
	t.Helper()
	rule := ingress.Spec.Rules[0]
	to := rule.HTTP.Paths[0]
	if to.Backend.Service.Name != service.Metadata.Name || to.Backend.Service.Port.Name != service.Spec.Ports[0].Name || to.Path != "/" || to.PathType != "Prefix" {
		t.Errorf("the ingress leads to %+v", to)
	}
	if tls := ingress.Spec.TLS[0]; !slices.Equal(tls.Hosts, []string{rule.Host}) || tls.SecretName == "" {
		t.Errorf("the certificate is for %v, and the rule for %s", tls, rule.Host)
	}
	env := map[string]string{}
	for _, one := range node.Env {
		env[one.Name] = one.Value
	}
	if env["DAYBOOK_PUBLIC_HOST"] != rule.Host {
		t.Errorf("the node accepts requests for %s, and the ingress has %s", env["DAYBOOK_PUBLIC_HOST"], rule.Host)
	}
	if _, err := netip.ParsePrefix(env["DAYBOOK_BEHIND_PROXY"]); err != nil {
		t.Error(err)
	}
}

// checkPodSecrets fails unless the comment at the head of the file makes each key of the secret
// that the pods use.
func checkPodSecrets(t *testing.T, pod kubePod) {
	t.Helper()
	comment, _, _ := strings.Cut(deployFile(t, "kubernetes.yaml"), "\napiVersion")
	used := map[string]string{}
	for _, one := range pod.Containers[0].Env {
		if one.ValueFrom != nil {
			used[one.ValueFrom.SecretKeyRef.Key] = one.ValueFrom.SecretKeyRef.Name
		}
	}
	for _, volume := range pod.Volumes {
		for _, item := range volume.Secret.Items {
			used[item.Key] = volume.Secret.SecretName
		}
	}
	if len(used) != 2 {
		t.Errorf("the pods use the keys %v of secrets", used)
	}
	for key, secret := range used {
		if !strings.Contains(comment, "create secret generic "+secret+" ") || !strings.Contains(comment, "--from-literal="+key+"=") {
			t.Errorf("the comment does not make the key %s of the secret %s", key, secret)
		}
	}
}

// The configurations of Prometheus and Grafana have only fields that these programs know. What one
// of them names, another one has.
func TestTheConfigurationOfMonitoringIsStrict(t *testing.T) {
	t.Parallel()
	var prometheus struct {
		Global struct {
			ScrapeInterval string `yaml:"scrape_interval"`
		}
		RuleFiles     []string `yaml:"rule_files"`
		ScrapeConfigs []struct {
			JobName       string `yaml:"job_name"`
			Authorization struct {
				CredentialsFile string `yaml:"credentials_file"`
			}
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	strictly(t, "prometheus.yml", deployFile(t, "prometheus.yml"), &prometheus)
	job, asked := prometheus.ScrapeConfigs[0], 0
	for _, file := range prometheus.RuleFiles {
		var rules struct {
			Groups []struct {
				Name  string
				Rules []struct {
					Alert, Expr, For    string
					Labels, Annotations map[string]string
				}
			}
		}
		strictly(t, file, deployFile(t, file), &rules)
		for _, group := range rules.Groups {
			for _, rule := range group.Rules {
				for _, of := range jobLabel.FindAllStringSubmatch(rule.Expr, -1) {
					if asked++; of[1] != job.JobName {
						t.Errorf("the job is called %s, and the alert %s asks for %s", job.JobName, rule.Alert, rule.Expr)
					}
				}
			}
		}
	}
	if asked == 0 {
		t.Errorf("no alert asks for the job %s", job.JobName)
	}
	compose := deployFile(t, "compose.yaml")
	if secret := strings.TrimPrefix(job.Authorization.CredentialsFile, "/run/secrets/"); !strings.Contains(compose, "\n  "+secret+":\n") {
		t.Errorf("compose.yaml has no secret %s", secret)
	}

	var source struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, URL string
			IsDefault            bool `yaml:"isDefault"`
		}
	}
	strictly(t, "grafana/datasource.yaml", deployFile(t, "grafana/datasource.yaml"), &source)
	var provider struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name, Type string
			Options    struct{ Path string }
		}
	}
	strictly(t, "grafana/provider.yaml", deployFile(t, "grafana/provider.yaml"), &provider)
	if folder := provider.Providers[0].Options.Path; !strings.Contains(compose, ":"+folder+"/daybook.json:ro") {
		t.Errorf("Grafana looks for dashboards in %s, where compose.yaml puts none", folder)
	}
	board := deployFile(t, "grafana/daybook.json")
	if uid := source.Datasources[0].UID; strings.Count(board, `"uid": "`+uid+`"`) != strings.Count(board, `"type": "prometheus"`) {
		t.Errorf("a panel asks another source than %s", uid)
	}
	if want := fmt.Sprintf("http://%s:9090", "prometheus"); source.Datasources[0].URL != want || !strings.Contains(compose, "\n  prometheus:\n") {
		t.Errorf("the source is at %s, want %s", source.Datasources[0].URL, want)
	}
}

var (
	othersCommand = regexp.MustCompile(`(?m)^\s*((?:docker|kubectl|systemctl|cp) .*)$`)
	calledInside  = regexp.MustCompile(`(?: run --rm |/bin/)daybook (.*)$`)
)

// Commands of Docker and Kubernetes, in the documentation and in comments of deploy, cannot be run
// here. But the files, stages, settings and calls of the program that they name exist.
func TestCommandsOfOtherProgramsNameWhatExists(t *testing.T) {
	t.Parallel()
	texts := map[string]string{"docs/operations.md": document(t, "docs/operations.md"), "README.md": document(t, "README.md"), "compose.yaml": document(t, "compose.yaml")}
	for _, name := range []string{"Dockerfile", "compose.yaml", "compose.kurrentdb.yaml", "kubernetes.yaml", "README.md", "daybook.service"} {
		texts["deploy/"+name] = deployFile(t, name)
	}
	stages := map[string]bool{}
	for _, one := range stagesOf(t) {
		stages[one.name] = true
	}
	commands, calls, settings := 0, 0, 0
	for name, text := range texts {
		text = regexp.MustCompile(`(?m)^#`).ReplaceAllString(text, "")
		for _, found := range othersCommand.FindAllStringSubmatch(strings.ReplaceAll(text, "\\\n", " "), -1) {
			commands++
			command, _, _ := strings.Cut(found[1], " #")
			words := strings.Fields(command)
			env := map[string]string{}
			for i, word := range words[:len(words)-1] {
				next := words[i+1]
				switch word {
				case "cp":
					checkInstalled(t, next, words[i+2])
				case "enable", "start":
					if _, err := os.Stat(filepath.Join(deployDir, next+".service")); err != nil {
						t.Errorf("%s: %s: there is no unit %s", name, command, next)
					}
				case "-f":
					_, inRoot := os.Stat(filepath.Join("../..", next))
					if _, err := os.Stat(filepath.Join(deployDir, next)); err != nil && inRoot != nil {
						t.Errorf("%s: %s: there is no file %s", name, command, next)
					}
				case "--target":
					if !stages[next] {
						t.Errorf("%s: %s: there is no stage %s", name, command, next)
					}
				case "-e":
					settings++
					variable, value, _ := strings.Cut(next, "=")
					env[variable] = value
				}
			}
			if len(env) > 0 {
				cert, key := certificate(t) // in place of those in the container
				for variable, file := range map[string]string{"DAYBOOK_TLS_CERT": cert, "DAYBOOK_TLS_KEY": key} {
					if env[variable] != "" {
						env[variable] = file
					}
				}
				accepts(t, name, []string{"serve"}, env)
			}
			if inside := calledInside.FindStringSubmatch(command); inside != nil {
				calls++
				accepts(t, name, strings.Fields(inside[1]), nil)
			}
		}
	}
	if commands < 14 || calls < 2 || settings < 4 {
		t.Errorf("%d commands with %d calls and %d settings were found", commands, calls, settings)
	}
}

// checkInstalled fails unless a file that an operator copies exists, and gets the path at which the
// unit looks for it.
func checkInstalled(t *testing.T, from, to string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join("../..", from)); err != nil && from != "bin/*" { // make build makes that one
		t.Errorf("cp %s: %v", from, err)
	}
	if unit := deployFile(t, "daybook.service"); !strings.Contains(unit, "="+to) && filepath.Base(to) != "daybook.service" {
		t.Errorf("the unit does not use %s", to)
	}
}
