package main

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands/commandapi"
	"daybook/commands/reactor"
	"daybook/internal/httpapi"
	"daybook/internal/live"
	"daybook/readapi"
)

// webFlags are the settings of the HTTP API.
type webFlags struct {
	PublicHost           []string `placeholder:"NAME" from:"DAYBOOK_PUBLIC_HOST" help:"A host name of this server, such as shop.example, besides localhost and loopback addresses. Needed behind a proxy that passes on the host that the client asked for. Repeatable, or separated by commas. Requests for other names are refused (421)."`
	CORSOrigin           []string `name:"cors-origin" placeholder:"ORIGIN" from:"DAYBOOK_CORS_ORIGIN" help:"The origin of another site whose pages may use the API from a browser: https://shop.example. Repeatable, or separated by commas. By default, and for all sites not named, the requests that a page makes are refused (403) if the browser says that they come from another site. No answer lets such a page read it."`
	BodyBudget           int      `default:"32" placeholder:"MIB" from:"DAYBOOK_BODY_BUDGET" help:"How many MiB all request bodies together may take at once; a request beyond that waits for 2 s and is then refused (503). Default: ${default}."`
	LiveStreams          int      `default:"500" placeholder:"N" from:"DAYBOOK_LIVE_STREAMS" help:"How many live streams of events are served at once. Default: ${default}."`
	LiveStreamsPerClient int      `default:"0" placeholder:"N" from:"DAYBOOK_LIVE_STREAMS_PER_CLIENT" help:"How many live streams one client address may have: 0 means a quarter of all, -1 means all. Behind a proxy all clients have one address, so give -1 and let the proxy limit each client. Default: ${default}."`
}

func (f webFlags) check() error {
	for _, name := range f.PublicHost {
		if _, err := httpapi.ParsePublicHost(name); err != nil {
			return usagef("--public-host: %v", err)
		}
	}
	for _, origin := range f.CORSOrigin {
		if _, err := httpapi.ParseOrigin(origin); err != nil {
			return usagef("--cors-origin: %v", err)
		}
	}
	if f.BodyBudget < 1 || f.BodyBudget > 1<<20 {
		return usagef("--body-budget must be 1 to %d MiB, not %d", 1<<20, f.BodyBudget)
	}
	if f.LiveStreams < 1 || f.LiveStreams > 100_000 {
		return usagef("--live-streams must be 1 to 100000, not %d", f.LiveStreams)
	}
	if f.LiveStreamsPerClient < -1 || f.LiveStreamsPerClient > f.LiveStreams {
		return usagef("--live-streams-per-client must be -1 to %d, which is --live-streams, not %d", f.LiveStreams, f.LiveStreamsPerClient)
	}
	return nil
}

// handler is the whole HTTP API over the node. When stop is closed, it ends the live streams,
// because they do not end by themselves.
func (n *node) handler(stop <-chan struct{}) (http.Handler, error) {
	options := httpapi.Options{
		Version: thisBuild().Version, Logger: n.log,
		PublicHosts: n.web.PublicHost, CORSOrigins: n.web.CORSOrigin, BodyBudget: int64(n.web.BodyBudget) << 20,
		Refuse: n.store.refuse,
	}
	return httpapi.New(options,
		func(api huma.API) {
			commandapi.Register(api, n.service, commandapi.Options{
				Answers: n.answers, Logger: n.log,
				Processes: &reactor.Processes{Lot: n.reactor.Parking, Finisher: n.service, Store: n.store, Now: n.now, CartsExpireAfter: n.reactor.CartsExpireAfter},
			})
		},
		func(api huma.API) {
			readapi.Register(api, readapi.Config{
				DB: n.readPool, Progress: live.Progress{Runner: n.projections}, History: live.History{Store: n.store},
				Log: live.Log{Store: n.store, Cluster: n.sparse}, Stop: stop, Logger: n.log,
				Processes: n.processes(), Watch: n.watch,
				LiveStreams: n.web.LiveStreams, LivePerClient: n.web.LiveStreamsPerClient,
			})
		},
	)
}
