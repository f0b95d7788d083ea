package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"daybook/commands"
	"daybook/eventstore"
	"daybook/projections"
)

type rebuildCommand struct {
	View     string `arg:"" help:"Which read model: one of ${views}."`
	Rollback bool   `xor:"way" help:"Build nothing: switch back to the build that was in use before, as soon as it has reached the head of the log. The build in use now is kept."`
	DropOld  bool   `xor:"way" help:"Build nothing: delete the build that is kept for --rollback."`
}

// progressEvery is how often a long piece of work says how far it is.
const progressEvery = time.Second

type rebuildResult struct {
	View     string              `json:"view"`
	Build    int                 `json:"build"`
	Position eventstore.Position `json:"position"`
	Events   int64               `json:"events"`
	Seconds  float64             `json:"seconds"`
}

func (c *rebuildCommand) check(context.Context, *program) error {
	if !slices.Contains(viewNames(), c.View) {
		return usagef("there is no read model %q; there are %s", c.View, strings.Join(viewNames(), ", "))
	}
	return nil
}

// Run builds a read model again and switches to it, switches back to the build before, or deletes
// that build.
func (c *rebuildCommand) Run(ctx context.Context, p *program) (err error) {
	at := slices.IndexFunc(p.views(), func(v projections.View) bool { return v.Name == c.View })
	started := time.Now()
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Views = cfg.Views[at : at+1]
	n, err := openNode(ctx, cfg, p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.closeInTime(ctx)) }()
	if err := c.carryOut(ctx, n, p.stderr); err != nil {
		return err
	}
	status, err := n.activeBuild(ctx, c.View)
	if err != nil {
		return err
	}
	result := rebuildResult{
		View: c.View, Build: status.Build, Position: status.Position, Events: status.Events, Seconds: time.Since(started).Seconds(),
	}
	return p.print(result, func(out io.Writer) error {
		w := &lineWriter{out: out}
		switch {
		case c.DropOld:
			w.printf("%s keeps no earlier build any more. Build %d is in use.\n", result.View, result.Build)
			return w.err
		case c.Rollback:
			w.printf("%s is back at build %d, at position %s of the log (%.1f s).\n", result.View, result.Build, result.Position, result.Seconds)
		default:
			w.printf("%s was built again from %d events and is in use as build %d, at position %s of the log (%.1f s).\n",
				result.View, result.Events, result.Build, result.Position, result.Seconds)
		}
		w.printf("The build that was in use before is kept: --rollback switches back to it, --drop-old deletes it.\n")
		return w.err
	})
}

func (c *rebuildCommand) carryOut(ctx context.Context, n *node, progress io.Writer) error {
	if c.DropOld {
		return n.projections.DropOld(ctx, c.View)
	}
	n.parts.begin(ctx, partGuard, partProjections)
	if c.Rollback {
		return n.switchBuild(ctx, c.View, n.projections.Rollback, progress)
	}
	return n.switchBuild(ctx, c.View, n.projections.Rebuild, progress)
}

// switchBuild switches a view to another build, and prints now and then how far that build is.
func (n *node) switchBuild(ctx context.Context, view string, switchTo func(context.Context, string) error, progress io.Writer) error {
	ctx, end := n.guard(ctx)
	defer end()
	done := make(chan error, 1)
	go func() { done <- switchTo(ctx, view) }()
	ticker := time.NewTicker(progressEvery)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			if err != nil && ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return err
		case <-ticker.C:
			n.tellRebuild(ctx, view, progress)
		}
	}
}

// tellRebuild prints how far the build beside the one in use has come.
func (n *node) tellRebuild(ctx context.Context, view string, progress io.Writer) {
	all, err := n.projections.Status(ctx)
	if err != nil {
		n.log.WarnContext(ctx, "progress unknown", "error", err)
		return
	}
	for _, s := range all {
		if s.View != view || s.State != projections.Rebuilding {
			continue
		}
		at, _ := s.Position.Pair()
		end, _ := s.Head.Pair()
		fmt.Fprintf(progress, "%s, build %d: at %d of %d (%.0f %%)\n", view, s.Build, at, end, 100*float64(at)/float64(max(end, 1)))
	}
}

func (n *node) activeBuild(ctx context.Context, view string) (projections.Status, error) {
	all, err := n.projections.Status(ctx)
	if err != nil {
		return projections.Status{}, err
	}
	at := slices.IndexFunc(all, func(s projections.Status) bool { return s.View == view && s.InUse })
	if at < 0 {
		return projections.Status{}, fmt.Errorf("read model %s is not in use", view)
	}
	return all[at], nil
}
