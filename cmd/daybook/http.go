package main

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"

	"daybook/commands/commandapi"
	"daybook/commands/keyring"
	"daybook/commands/reactor"
	"daybook/commands/signin"
	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/internal/httpapi"
	"daybook/internal/idtoken"
	"daybook/internal/live"
	"daybook/internal/problem"
	"daybook/readapi"
)

// The values of --access.
const (
	accessByKeys = "keys" // every request needs an API key
	accessOff    = "off"  // everyone who can reach the server may do everything
)

// webFlags are the settings of the HTTP API.
type webFlags struct {
	Open                 openFlags `embed:""`
	OIDC                 oidcFlags `embed:""`
	Access               string    `default:"keys" enum:"keys,off" from:"DAYBOOK_ACCESS" help:"Who may use the API: keys means who sends an API key, each as far as its role allows (see daybook keys); off means everyone who can reach it, for experiments on a loopback address. Default: ${default}."`
	SecondFactor         string    `default:"required" enum:"required,optional" from:"DAYBOOK_SECOND_FACTOR" help:"Whether people with the role manager or admin, or with another role that has one of their permissions access.write, returns.credit, refunds.unlimited, stock.override or catalogue.write, need a second factor when they sign in, which is an app that shows codes: required or optional. Default: ${default}."`
	Guests               bool      `from:"DAYBOOK_GUESTS" help:"Let everyone open a cart without an API key. The response has a token, which is good for this cart and for the order that it becomes."`
	PublicHost           []string  `placeholder:"NAME" from:"DAYBOOK_PUBLIC_HOST" help:"A host name of this server, such as shop.example, besides localhost and loopback addresses. Needed behind a proxy that passes on the host that the client asked for. Repeatable, or separated by commas. Requests for other names are refused (421)."`
	CORSOrigin           []string  `name:"cors-origin" placeholder:"ORIGIN" from:"DAYBOOK_CORS_ORIGIN" help:"The origin of another site whose pages may use the API from a browser, such as https://shop.example. Repeatable, or separated by commas. If a browser sends a request for a page of another site that is not named here, the request is refused (403)."`
	RequestsPerKey       float64   `default:"10000" placeholder:"N" from:"DAYBOOK_REQUESTS_PER_KEY" help:"How many requests each second one API key may send to this node, on average; ten seconds' worth may come at once. 0 means no limit. Default: ${default}."`
	RequestsPerPerson    float64   `default:"50" placeholder:"N" from:"DAYBOOK_REQUESTS_PER_PERSON" help:"The same for one person of the staff who has signed in, here or at an identity provider. 0 means no limit. Default: ${default}."`
	RequestsPerCustomer  float64   `default:"100" placeholder:"N" from:"DAYBOOK_REQUESTS_PER_CUSTOMER" help:"The same for one customer: with the customer's own key, or through a storefront. 0 means no limit. Default: ${default}."`
	RequestsPerAddress   float64   `default:"1000" placeholder:"N" from:"DAYBOOK_REQUESTS_PER_ADDRESS" help:"The same for one client address, counted apart for requests with customers' keys, of guests with a token, and without a good key. 0 means no limit. Default: ${default}."`
	WrongKeysPerAddress  float64   `default:"100" placeholder:"N" from:"DAYBOOK_WRONG_KEYS_PER_ADDRESS" help:"The same for requests of one client address with a wrong API key. 0 means no limit. Default: ${default}."`
	GuestCarts           float64   `name:"guest-carts-per-address" default:"5" placeholder:"N" from:"DAYBOOK_GUEST_CARTS_PER_ADDRESS" help:"With --guests, how many carts guests at one client address may open in a second; ten seconds' worth may come at once. 0 means no limit. Default: ${default}."`
	KeptPerCustomer      float64   `name:"answers-per-customer" default:"1000" placeholder:"N" from:"DAYBOOK_ANSWERS_PER_CUSTOMER" help:"How many answers each hour are kept under the idempotency keys of one customer. A further request is carried out, and if it is repeated it has no second effect, but it gets a new response. 0 means no limit. Default: ${default}."`
	KeptPerPerson        float64   `name:"answers-per-person" default:"10000" placeholder:"N" from:"DAYBOOK_ANSWERS_PER_PERSON" help:"The same for one person of the staff who has signed in. 0 means no limit. Default: ${default}."`
	KeptPerKey           float64   `name:"answers-per-key" default:"1000000" placeholder:"N" from:"DAYBOOK_ANSWERS_PER_KEY" help:"The same for one program, such as a storefront or an importer, whatever it does for customers included. 0 means no limit. Default: ${default}."`
	BodyBudget           int64     `default:"33554432" placeholder:"BYTES" from:"DAYBOOK_BODY_BUDGET" help:"How many bytes all request bodies together may take at once; a request beyond that waits for 2 s and is then refused (503). Default: 32 MiB."`
	LiveStreams          int       `default:"500" placeholder:"N" from:"DAYBOOK_LIVE_STREAMS" help:"How many live streams of events are served at once. Default: ${default}."`
	LiveStreamsPerClient int       `default:"0" placeholder:"N" from:"DAYBOOK_LIVE_STREAMS_PER_CLIENT" help:"How many live streams one client address may have: 0 means a quarter of all, -1 means all. Behind a proxy without --behind-proxy all clients have one address, so give -1 and let the proxy limit each client. Default: ${default}."`
	LiveStreamsPerKey    int       `default:"0" placeholder:"N" from:"DAYBOOK_LIVE_STREAMS_PER_KEY" help:"How many live streams may be open with one API key: 0 means a quarter of all, -1 means all. Default: ${default}."`
}

// check refuses values that do not work. dir is the data directory.
func (f webFlags) check(dir string) error {
	if err := cmp.Or(f.Open.check(dir), f.OIDC.check(f.Access)); err != nil {
		return err
	}
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
	if f.BodyBudget < 1<<20 || f.BodyBudget > 1<<40 {
		return usagef("--body-budget must be %d to %d bytes, not %d", 1<<20, 1<<40, f.BodyBudget)
	}
	if f.LiveStreams < 1 || f.LiveStreams > 100_000 {
		return usagef("--live-streams must be 1 to 100000, not %d", f.LiveStreams)
	}
	if f.LiveStreamsPerClient < -1 || f.LiveStreamsPerClient > f.LiveStreams {
		return usagef("--live-streams-per-client must be -1 to %d, which is --live-streams, not %d", f.LiveStreams, f.LiveStreamsPerClient)
	}
	if f.LiveStreamsPerKey < -1 || f.LiveStreamsPerKey > f.LiveStreams {
		return usagef("--live-streams-per-key must be -1 to %d, which is --live-streams, not %d", f.LiveStreams, f.LiveStreamsPerKey)
	}
	return f.checkRates()
}

// checkRates refuses limits that are not numbers, that are negative, or that no node could reach.
func (f webFlags) checkRates() error {
	for _, limit := range []struct {
		flag  string
		value float64
	}{
		{"--requests-per-key", f.RequestsPerKey},
		{"--requests-per-person", f.RequestsPerPerson},
		{"--requests-per-customer", f.RequestsPerCustomer},
		{"--requests-per-address", f.RequestsPerAddress},
		{"--wrong-keys-per-address", f.WrongKeysPerAddress},
		{"--guest-carts-per-address", f.GuestCarts},
		{"--answers-per-customer", f.KeptPerCustomer},
		{"--answers-per-person", f.KeptPerPerson},
		{"--answers-per-key", f.KeptPerKey},
	} {
		if !(limit.value >= 0 && limit.value <= 1_000_000) { // not a number is refused, too
			return usagef("%s must be 0 to 1000000, not %g", limit.flag, limit.value)
		}
	}
	return nil
}

// nodeAccess tells who sends a request. If the keys have not been read, for example because the log
// has diverged, the response gives this reason. It does not say that the key is wrong.
type nodeAccess struct {
	keys   *keyring.Keyring
	uses   *keyring.Uses
	desk   *signin.Desk
	guests *keyring.Guests
	tokens *idtoken.Verifier // nil: none are good
	refuse func(path string) error
}

// access tells who sends requests to the HTTP API and calls to the gateway.
func (n *node) access() nodeAccess {
	return nodeAccess{n.keys, n.keyUses, n.desk, n.guests, n.tokens, n.store.refuse}
}

// Authenticate implements httpapi.Access.
func (a nodeAccess) Authenticate(ctx context.Context, key string) (access.Principal, error) {
	if a.tokens != nil && idtoken.Looks(key) {
		if err := a.deaf(); err != nil {
			return access.Principal{}, err
		}
		who, err := a.tokens.Authenticate(ctx, key)
		if unreachable, is := errors.AsType[*idtoken.UnreachableError](err); is {
			return who, &httpapi.UnreadyError{Cause: problem.Starting("the issuer of tokens cannot be reached", unreachable)}
		}
		if err != nil && !errors.Is(err, idtoken.ErrRefused) && !errors.Is(err, idtoken.ErrNoRole) {
			return who, &httpapi.UnreadyError{Cause: problem.Starting("the customer of a token cannot be read", err)}
		}
		return who, err
	}
	if keyring.IsToken(key) {
		return a.guests.Authenticate(key)
	}
	who, err := a.keys.Authenticate(key)
	if err == nil {
		a.uses.Note(keyring.IDOf(who))
	}
	if errors.Is(err, keyring.ErrNotReady) {
		return who, &httpapi.UnreadyError{Cause: cmp.Or(a.refuse("/v1/keys"), error(problem.Starting("the API keys have not been read yet", nil)))}
	}
	if errors.Is(err, keyring.ErrDeaf) {
		return who, a.deaf()
	}
	return who, err
}

// deaf returns an error if the node has not heard of changes of keys and roles for too long. People
// and tokens of an issuer have roles, too, and a custom role may have lost rights since.
func (a nodeAccess) deaf() error {
	if a.keys.Deaf() <= keyring.MaxDeaf {
		return nil
	}
	return &httpapi.UnreadyError{Cause: problem.Starting(keyring.ErrDeaf.Error(), a.keys.Trouble())}
}

// options returns the options of the API's front that the flags set.
func (f webFlags) options(log *slog.Logger) httpapi.Options {
	return httpapi.Options{
		Version: thisBuild().Version, Logger: log,
		PublicHosts: slices.Concat(f.PublicHost, f.Open.ACMEDomain), CORSOrigins: f.CORSOrigin, BodyBudget: f.BodyBudget,
		Proxies: f.Open.BehindProxy, ProxyHeader: f.Open.ProxyHeader,
		Limits: f.limits(),
	}
}

// limits are the limits that the flags set.
func (f webFlags) limits() httpapi.Limits {
	return httpapi.Limits{
		PerKey: f.RequestsPerKey, PerPerson: f.RequestsPerPerson, PerCustomer: f.RequestsPerCustomer, PerAddress: f.RequestsPerAddress, WrongPerAddress: f.WrongKeysPerAddress,
		GuestCartsPerAddress: f.GuestCarts,
	}
}

// kept are the limits of kept answers that the flags set.
func (f webFlags) kept() commandapi.KeptLimits {
	return commandapi.KeptLimits{PerCustomer: f.KeptPerCustomer, PerPerson: f.KeptPerPerson, PerKey: f.KeptPerKey}
}

// Session implements httpapi.Access. If the log or the database does not respond, the request gets
// that as its reason.
func (a nodeAccess) Session(ctx context.Context, token string) (access.Principal, error) {
	if err := a.deaf(); err != nil {
		return access.Principal{}, err
	}
	who, err := a.desk.Authenticate(ctx, token)
	if err != nil && !errors.Is(err, signin.ErrNoSession) {
		return access.Principal{}, &httpapi.UnreadyError{Cause: err}
	}
	return who, err
}

// While implements httpapi.Access.
func (a nodeAccess) While(ctx context.Context, who access.Principal) (context.Context, func()) {
	if signin.PersonOf(who) != "" {
		return a.desk.While(ctx, who)
	}
	if a.tokens != nil && idtoken.IsHolder(who) {
		return a.tokens.While(ctx, who)
	}
	return a.keys.While(ctx, who)
}

// handler is the whole HTTP API over the node. When stop is closed, it ends the live streams,
// because they do not end by themselves. who is the value of --access: who may use the API.
func (n *node) handler(stop <-chan struct{}, who string) (http.Handler, error) {
	options := n.web.options(n.log)
	options.Refuse, options.Observer, options.Refusals, options.Allowances = n.store.refuse, n.telemetry.Requests(), n.refusals, n.allowances
	options.Withhold = n.withhold
	var guestToken func(unit.CartID) string
	if who != accessOff {
		options.Access = n.access()
		guestToken = n.guests.Token
		if n.web.Guests {
			options.Guests = n.guests.Anonymous
		}
	}
	return httpapi.New(options,
		func(api huma.API) {
			commandapi.Register(api, n.service, commandapi.Options{
				Answers: n.answers, Logger: n.log, KeysRead: n.keys.Has, Desk: n.desk, Kept: n.web.kept(), GuestToken: guestToken, CustomerID: n.guests.CustomerID, GuestOf: n.guests.CartOf,
				Shares:    commandapi.Shares{Token: n.guests.ShareToken, Read: n.guests.ReadShare},
				Processes: &reactor.ParkedWork{Lot: n.reactor.Parking, Finisher: n.service, Store: n.events, Now: n.now, CartsExpireAfter: n.reactor.CartsExpireAfter},
			})
		},
		func(api huma.API) {
			reads := n.reads()
			reads.Stop = stop
			readapi.Register(api, reads)
		},
	)
}

// reads is what the read API needs of the node.
func (n *node) reads() readapi.Config {
	return readapi.Config{
		DB: n.readPool, Progress: live.Progress{Runner: n.projections, Cluster: n.sparse}, History: live.History{Store: n.events},
		Log: live.Log{Store: n.events, Cluster: n.sparse}, Logger: n.log,
		WithheldHistory: live.History{Store: n.events, Show: n.withhold.Event},
		WithheldLog:     live.Log{Store: n.events, Cluster: n.sparse, Show: n.withhold.Event}, Withhold: n.withhold,
		SharedList: n.sharedList, Erasures: erasures{n},
		Processes: n.processes(), Watch: n.watch, Access: accessList{n.keys, n.keyUses, n.now}, Definitions: live.Definitions{Book: n.book, Cluster: n.sparse}, People: peopleList{n.desk},
		LiveStreams: n.web.LiveStreams, LivePerClient: n.web.LiveStreamsPerClient, LivePerKey: n.web.LiveStreamsPerKey,
	}
}

// sharedList reads the token of a shared wish list.
func (n *node) sharedList(token string) (share readapi.SharedList, good bool) {
	read, good := n.guests.ReadShare(token)
	return readapi.SharedList{CustomerID: string(read.CustomerID), ListID: string(read.ListID), Share: read.Number}, good
}

// factorFor tells which roles need a second factor; nil: the usual ones.
func (f webFlags) factorFor() func(access.Role) bool {
	if f.SecondFactor == "optional" {
		return func(access.Role) bool { return false }
	}
	return nil
}
