package main

import (
	"context"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
)

// version is set by release builds: -ldflags "-X main.version=v1.2.3".
var version string

type versionCommand struct{}

type buildVersion struct {
	Version  string `json:"version"`
	Commit   string `json:"commit,omitempty"`
	Time     string `json:"time,omitempty"` // of the commit
	Modified bool   `json:"modified"`       // built from a changed tree
	Go       string `json:"go"`
	Platform string `json:"platform"`
}

func (versionCommand) Run(_ context.Context, p *program) error {
	v := thisBuild()
	return p.print(v, func(out io.Writer) error {
		commit := v.Commit
		if commit == "" {
			commit = "of unknown commit"
		}
		if v.Modified {
			commit += " with changes"
		}
		_, err := fmt.Fprintf(out, "daybook %s %s %s %s\n", v.Version, commit, v.Go, v.Platform)
		return err
	})
}

func thisBuild() buildVersion {
	v := buildVersion{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		if v.Version == "" {
			v.Version = info.Main.Version
		}
		for _, setting := range info.Settings {
			switch setting.Key {
			case "vcs.revision":
				v.Commit = setting.Value
			case "vcs.time":
				v.Time = setting.Value
			case "vcs.modified":
				v.Modified = setting.Value == "true"
			}
		}
	}
	if v.Version == "" {
		v.Version = "(devel)"
	}
	return v
}
