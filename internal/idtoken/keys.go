package idtoken

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"github.com/go-jose/go-jose/v4"
	"golang.org/x/sync/singleflight"
)

const (
	// keysKept is how long keys are used before the issuer is asked again. After this time a key
	// that the issuer no longer has is refused. If the issuer does not respond, keys are used for
	// up to 2*keysKept.
	keysKept = 15 * time.Minute
	// askEvery is the shortest time between two questions to the issuer. Without it, somebody who
	// sends tokens that no key fits could make this node ask the issuer for each of them.
	askEvery = 10 * time.Second
	maxKeys  = 1 << 20 // bytes
)

// keySet has the keys of an issuer. It replaces oidc.RemoteKeySet, because that one asks the issuer
// again for each token that no key fits.
type keySet struct {
	config Config

	asking singleflight.Group // one question to the issuer at a time

	mu     sync.Mutex // it is held neither while the issuer is asked nor while a token is checked
	keys   *oidc.StaticKeySet
	got    time.Time // when the keys came
	asked  time.Time // when the issuer was asked last
	failed error     // why the last question got no keys, or has none yet; nil: it got keys
}

// errNoResponse is why there are no keys while the issuer is asked for the first time.
var errNoResponse = errors.New("it has not responded yet")

// VerifySignature implements oidc.KeySet. A token that a present key fits does not wait for the
// issuer.
func (k *keySet) VerifySignature(ctx context.Context, text string) ([]byte, error) {
	keys, got, err := k.present()
	if keys == nil || k.config.Now().Sub(got) >= keysKept {
		k.ask(ctx)
		keys, _, err = k.present()
	}
	if keys == nil {
		return nil, err
	}
	payload, err := keys.VerifySignature(ctx, text)
	if err == nil {
		return payload, nil
	}
	k.ask(ctx) // the issuer may have a new key
	newer, _, _ := k.present()
	if newer == nil || newer == keys {
		return nil, err
	}
	return newer.VerifySignature(ctx, text)
}

// present returns the keys that the node has, when they came, and why there are none or no newer
// ones.
func (k *keySet) present() (keys *oidc.StaticKeySet, got time.Time, failed error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.keys, k.got, k.failed
}

// unreachable returns why there are no keys. It is nil if there are keys.
func (k *keySet) unreachable() error {
	keys, _, failed := k.present()
	if keys != nil || failed == nil {
		return nil
	}
	return &UnreachableError{Cause: failed}
}

// ask gets the keys, unless the issuer was asked less than askEvery ago. If the issuer is asked
// already, ask waits for the same response. It does not wait longer than until ctx ends.
func (k *keySet) ask(ctx context.Context) {
	// Other requests wait for the same keys. So the question goes on even if this request ends.
	lasting := context.WithoutCancel(ctx)
	done := k.asking.DoChan("keys", func() (any, error) {
		now := k.config.Now()
		if !k.begin(now) {
			return nil, nil
		}
		ctx, cancel := context.WithTimeout(lasting, askTimeout)
		defer cancel()
		keys, err := k.fetch(ctx)
		k.end(keys, err, now)
		return nil, nil
	})
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// begin notes that the issuer is asked. It returns false if that was less than askEvery ago.
func (k *keySet) begin(now time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.asked.IsZero() && now.Sub(k.asked) < askEvery {
		return false
	}
	k.asked = now
	if k.keys == nil && k.failed == nil {
		k.failed = errNoResponse
	}
	return true
}

// end notes the issuer's response. If the issuer does not respond, the node keeps the keys that it
// has until they are too old.
func (k *keySet) end(keys *oidc.StaticKeySet, err error, now time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err == nil {
		k.keys, k.got, k.failed = keys, now, nil
		return
	}
	k.failed = err
	if now.Sub(k.got) >= 2*keysKept {
		k.keys = nil
	}
}

// fetch asks the issuer where its keys are, and gets them.
func (k *keySet) fetch(ctx context.Context) (*oidc.StaticKeySet, error) {
	provider, err := oidc.NewProvider(oidc.ClientContext(ctx, k.config.Client), k.config.Issuer)
	if err != nil {
		return nil, err
	}
	var about struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&about); err != nil {
		return nil, err
	}
	if err := ParseIssuer(about.Keys); err != nil {
		return nil, fmt.Errorf("where its keys are: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, about.Keys, http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := k.config.Client.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("its keys: %s", response.Status)
	}
	var set jose.JSONWebKeySet
	if err := json.NewDecoder(io.LimitReader(response.Body, maxKeys)).Decode(&set); err != nil {
		return nil, fmt.Errorf("its keys: %w", err)
	}
	keys := new(oidc.StaticKeySet)
	for _, key := range set.Keys {
		if key.Use == "" || key.Use == "sig" {
			if public := key.Public(); public.Key != nil {
				keys.PublicKeys = append(keys.PublicKeys, public.Key)
			}
		}
	}
	if len(keys.PublicKeys) == 0 {
		return nil, errors.New("it has no keys")
	}
	return keys, nil
}
