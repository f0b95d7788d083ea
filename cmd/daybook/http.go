package main

import (
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands/commandapi"
	"daybook/internal/httpapi"
	"daybook/internal/live"
	"daybook/readapi"
)

// handler is the whole HTTP API over the node. The end of stop ends the live
// streams, which have no end of their own.
func (n *node) handler(stop <-chan struct{}) (http.Handler, error) {
	return httpapi.New(httpapi.Options{Version: thisBuild().Version, Logger: n.log},
		func(api huma.API) {
			commandapi.Register(api, n.service, commandapi.Options{Answers: n.answers, Logger: n.log})
		},
		func(api huma.API) {
			readapi.Register(api, readapi.Config{
				DB: n.readPool, Progress: live.Progress{Runner: n.projections}, History: live.History{Store: n.store},
				Log: live.Log{Store: n.store}, Stop: stop, Logger: n.log,
			})
		},
	)
}
