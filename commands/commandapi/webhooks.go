package commandapi

import (
	"context"
	"errors"
	"fmt"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands/payments"
	"daybook/domain/access"
	"daybook/domain/order"
	"daybook/eventstore"
	"daybook/internal/apidoc"
	"daybook/internal/problem"
	"daybook/internal/resource"
)

// maxWebhookBytes bounds a provider's message. A payment has at most some hundred transactions.
const maxWebhookBytes = 64 << 10

// webhookRoutes are the routes to which providers of payments report. A provider has no API key: it
// signs its messages.
func (a *api) webhookRoutes() {
	add(a, apidoc.TagOrders, op{method: post, path: "/v1/payments/webhooks/{provider}", id: "receive-webhook", needs: access.Open, summary: "Report what happened to a payment, as its provider", about: aboutWebhooks, keyless: true, foreign: true, refusals: refusals{order.ErrNotFound, order.ErrAmountLimit, order.ErrTransactionDiffers}, others: []string{problem.CodeWebhookProvider, problem.CodeWebhookForged, problem.CodeWebhookUnreadable}}, a.receiveWebhook)
}

const aboutWebhooks = "For the provider that `serve` was started with (`--payments`), which has to be told this address. The message is in the provider's own words, and signed by it. Its order records each transaction that it does not have yet. So messages may come twice and in any order. A message for an order that does not exist yet is refused with `order-not-found`: the provider sends it again later."

type webhookInput struct {
	ProcessHeaders
	Provider string `path:"provider" maxLength:"32" doc:"The name of the provider, such as simulated."`
	RawBody  []byte `contentType:"application/json"`

	header func(name string) string
}

// Resolve implements huma.Resolver. It keeps the headers, because each provider has its own one for
// its signature.
func (in *webhookInput) Resolve(ctx huma.Context) []error {
	in.header = ctx.Header
	return nil
}

// receiveWebhook records what a provider reports.
func (a *api) receiveWebhook(ctx context.Context, c call, in *webhookInput) (*response[resource.ReceivedWebhook], error) {
	reporter, known := a.service.Payments.Reporter(in.Provider)
	if !known {
		return nil, problem.WebhookProvider()
	}
	report, err := reporter.Read(in.header, in.RawBody, a.service.Now())
	received := &response[resource.ReceivedWebhook]{Body: &resource.ReceivedWebhook{Received: true}}
	switch {
	case errors.Is(err, payments.ErrUnneeded):
		return received, nil
	case errors.Is(err, payments.ErrForged):
		return nil, problem.WebhookForged()
	case err != nil:
		a.logger.ErrorContext(ctx, "a message of a provider of payments cannot be read", "provider", in.Provider, "error", eventstore.Visible(err.Error()))
		return nil, problem.WebhookUnreadable()
	}
	meta := eventstore.Metadata{CommandID: c.Meta.CommandID, CorrelationID: c.Meta.CorrelationID, Trace: c.Meta.Trace, Channel: "payments"}
	if err := a.service.RecordReport(ctx, meta, in.Provider, report); err != nil {
		a.logger.WarnContext(ctx, "a message of a provider of payments is not recorded; the provider sends it again", "provider", in.Provider,
			"payment", eventstore.Visible(report.Payment), "order", report.OrderID, "error", eventstore.Visible(fmt.Sprint(err)))
		return nil, err
	}
	return received, nil
}
