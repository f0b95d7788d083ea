package main

import (
	"context"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands/commandapi"
	"daybook/internal/httpapi"
	"daybook/readapi"
)

// openAPICommand prints the document of the API. It needs no database, because the
// document is made from the routes alone.
type openAPICommand struct{}

func (openAPICommand) Run(_ context.Context, p *program) error {
	document, err := apiDocument()
	if err != nil {
		return err
	}
	_, err = p.stdout.Write(append(document, '\n'))
	return err
}

func apiDocument() ([]byte, error) {
	return httpapi.Document(thisBuild().Version, apiParts()...)
}

// apiParts are both parts of the API without a node behind them.
func apiParts() []httpapi.Part {
	return []httpapi.Part{
		func(api huma.API) { commandapi.Register(api, nil, commandapi.Options{}) },
		func(api huma.API) { readapi.Register(api, readapi.Config{}) },
	}
}
