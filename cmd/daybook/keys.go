package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/keyring"
	"daybook/domain/access"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/pause"
	"daybook/internal/resource"
)

// keysCommand manages API keys over the log itself, so it needs no key. It is for the first key,
// and for a shop whose admins have lost their keys. A running server has routes that do the same.
type keysCommand struct {
	Create keysCreateCommand `cmd:"" help:"Make an API key and print it. Its secret is shown only then."`
	List   keysListCommand   `cmd:"" help:"List all API keys, without their secrets."`
	Rotate keysRotateCommand `cmd:"" help:"Give an API key a new secret and print it."`
	Revoke keysRevokeCommand `cmd:"" help:"End an API key. Running servers refuse it within a moment."`
}

type keysCreateCommand struct {
	Name     string        `required:"" placeholder:"NAME" help:"What the key is for."`
	Role     string        `required:"" placeholder:"ROLE" help:"What its holder may do: customer, storefront, operator, manager, auditor, analyst, admin, or a role of the shop's own."`
	Customer string        `placeholder:"ID" help:"The customer whose things it reaches; needed for the role customer."`
	Lasts    time.Duration `placeholder:"TIME" help:"How long it is good, such as 720h. By default until it is revoked."`
	Location []string      `sep:"none" placeholder:"NAME" help:"A location whose stock it reads and changes, and from which it fulfils orders. Repeat the flag for several. By default all."`
	Channel  []string      `sep:"none" placeholder:"NAME" help:"A channel that its requests may record. Repeat the flag for several; the first is recorded if a request names none. By default all."`
}

// scope is what the flags limit the key to. The rules of keys check the rest of it.
func (c *keysCreateCommand) scope() (scope access.Scope, err error) {
	for _, text := range c.Channel {
		channel, err := access.ParseChannel(text)
		if err != nil {
			return scope, usagef("--channel: %v", err)
		}
		scope.Channels = append(scope.Channels, channel)
	}
	for _, text := range c.Location {
		location, err := unit.ParseLocationID(text)
		if err != nil || text == "" {
			return scope, usagef("--location %q is not the name of a location", text)
		}
		scope.Locations = append(scope.Locations, location)
	}
	return scope, nil
}

type keysListCommand struct{}

type keysRotateCommand struct {
	Key     string        `arg:"" help:"The id of the key."`
	Overlap time.Duration `placeholder:"TIME" help:"How long the secret before stays good, such as 24h. By default it ends at once."`
}

type keysRevokeCommand struct {
	Key    string `arg:"" help:"The id of the key."`
	Reason string `placeholder:"TEXT" help:"Why it ends."`
}

func (c *keysCreateCommand) check(context.Context, *program) error {
	if fault := unit.LineFault(c.Name, access.MaxKeyName); fault != "" {
		return usagef("--name: %s", fault)
	}
	if _, err := access.ParseRole(c.Role); err != nil {
		return usagef("--role: %v", err)
	}
	if c.Lasts < 0 {
		return usagef("--lasts must not be negative, but is %s", c.Lasts)
	}
	if _, err := c.scope(); err != nil {
		return err
	}
	if c.Customer == "" {
		return nil
	}
	if _, err := unit.ParseCustomerID(c.Customer); err != nil {
		return usagef("--customer: %v", err)
	}
	return nil
}

func (c *keysRotateCommand) check(context.Context, *program) error {
	if c.Overlap < 0 || c.Overlap > access.MaxOverlap {
		return usagef("--overlap must be from 0 to %s, not %s", access.MaxOverlap, c.Overlap)
	}
	return nil
}

func (c *keysRevokeCommand) check(context.Context, *program) error {
	if fault := unit.TextFault(c.Reason, unit.MaxNote); fault != "" {
		return usagef("--reason: %s", fault)
	}
	return nil
}

// Run implements the subcommand.
func (c *keysCreateCommand) Run(ctx context.Context, p *program) error {
	scope, err := c.scope()
	if err != nil {
		return err
	}
	return p.overLog(ctx, func(n *node) error {
		made, err := n.makeKey(ctx, access.IssueKey{Name: c.Name, Role: access.Role(c.Role), Customer: c.Customer, Scope: scope}, c.Lasts)
		if err != nil {
			return err
		}
		return p.printSecret(made)
	})
}

// Run implements the subcommand.
func (c *keysListCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		keys, err := accessList{n.keys, n.keyUses, n.now}.Keys(ctx)
		if err != nil {
			return err
		}
		slices.SortFunc(keys, func(a, b resource.APIKey) int { return strings.Compare(string(a.KeyID), string(b.KeyID)) })
		return p.print(keys, func(out io.Writer) error {
			w := &lineWriter{out: out}
			for _, key := range keys {
				w.printf("%s  %-8s %-12s %s%s\n", key.KeyID, key.Status, key.Role, key.Name, ofCustomer(key)+ofScope(key.KeyScope)+lastUse(key))
			}
			return w.err
		})
	})
}

func ofCustomer(key resource.APIKey) string {
	if key.CustomerID == "" {
		return ""
	}
	return " (customer " + key.CustomerID + ")"
}

// lastUse says when a key was last used.
func lastUse(key resource.APIKey) string {
	if key.UsedAt.IsZero() {
		return ", never used"
	}
	return ", last used " + key.UsedAt.Format(time.RFC3339)
}

// ofScope says what a key is limited to.
func ofScope(scope resource.KeyScope) (text string) {
	if len(scope.Locations) > 0 {
		text = fmt.Sprintf(" (locations %v)", scope.Locations)
	}
	if len(scope.Channels) > 0 {
		text += fmt.Sprintf(" (channels %v)", scope.Channels)
	}
	return text
}

// Run implements the subcommand.
func (c *keysRotateCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		id := access.KeyID(c.Key)
		secret := keyring.NewSecret(id)
		key, err := n.changeKey(ctx, id, access.RotateKey{Key: id, Hash: secret.Hash, Overlap: c.Overlap, Now: n.now()})
		if err != nil {
			return err
		}
		return p.printSecret(resource.APIKeySecret{Key: key, Secret: secret.Text})
	})
}

// Run implements the subcommand.
func (c *keysRevokeCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		key, err := n.changeKey(ctx, access.KeyID(c.Key), access.RevokeKey{Key: access.KeyID(c.Key), Reason: c.Reason})
		if err != nil {
			return err
		}
		return p.print(key, func(out io.Writer) error {
			w := &lineWriter{out: out}
			w.printf("The key %s (%s) is %s.\n", key.KeyID, key.Name, key.Status)
			return w.err
		})
	})
}

// overLog opens a node without read models and without other work, and calls do with it.
func (p *program) overLog(ctx context.Context, do func(*node) error) error {
	return p.overLogWithMail(ctx, mailFlags{}, do)
}

// overLogWithMail is overLog with a node that sends mail.
func (p *program) overLogWithMail(ctx context.Context, mail mailFlags, do func(*node) error) (err error) {
	cfg := p.nodeConfig(commands.DefaultPolicy())
	cfg.Views, cfg.NoPersonalTexts = nil, true
	if cfg.Mail, err = mail.config(); err != nil {
		return err
	}
	n, err := openNode(ctx, cfg, p.log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.closeInTime(ctx)) }()
	return do(n)
}

func (p *program) printSecret(made resource.APIKeySecret) error {
	return p.print(made, func(out io.Writer) error {
		w := &lineWriter{out: out}
		w.printf("%s\n", made.Secret)
		w.printf("This is the key %s (%s, %s). It is shown only now. Send it as Authorization: Bearer dbk_...\n", made.Key.KeyID, made.Key.Name, made.Key.Role)
		return w.err
	})
}

// makeKey makes the API key that issue describes, with a new id and a new secret.
func (n *node) makeKey(ctx context.Context, issue access.IssueKey, lasts time.Duration) (resource.APIKeySecret, error) {
	id := keyring.NewID()
	secret := keyring.NewSecret(id)
	issue.Key, issue.Hash, issue.Now = id, secret.Hash, n.now()
	if lasts != 0 {
		issue.ExpiresAt = n.now().Add(lasts).UTC()
	}
	key, err := n.changeKey(ctx, id, issue)
	return resource.APIKeySecret{Key: key, Secret: secret.Text}, err
}

// changeKey carries out a command on a key. The actor is "system:console".
func (n *node) changeKey(ctx context.Context, id access.KeyID, command access.Command) (key resource.APIKey, err error) {
	if _, err := n.service.Access(ctx, consoleCall(), command); err != nil {
		return key, err
	}
	if err := n.keys.Open(ctx); err != nil {
		return key, err
	}
	n.keys.Keys(func(other access.KeyID, state access.Key) {
		if other == id {
			key = resource.APIKeyOf(id, state, n.now())
		}
	})
	return key, nil
}

// expireKeysEvery is how often a node looks for API keys that have reached their end. An expired
// key is refused at once, even if no node has looked for it yet.
const expireKeysEvery = 10 * time.Second

// followKeys hears of changes of API keys. It also records the end of keys that have expired.
func (n *node) followKeys(ctx context.Context) error {
	var work sync.WaitGroup
	defer work.Wait()
	work.Go(func() {
		for pause.For(ctx, expireKeysEvery); ctx.Err() == nil; pause.For(ctx, expireKeysEvery) {
			if !n.keys.Overdue() {
				continue
			}
			if err := n.expireKeys(ctx); err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "the end of API keys cannot be recorded", "error", err)
			}
		}
	})
	return n.keys.Run(ctx)
}

// expireKeys records the end of API keys that have expired.
func (n *node) expireKeys(ctx context.Context) error {
	who := access.System("keys")
	_, err := n.service.Access(ctx, commands.Call{Who: who, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: who.ID}}, access.ExpireKeys{Now: n.now()})
	return err
}

// accessList lists keys and roles for the read API.
type accessList struct {
	keys *keyring.Keyring
	uses *keyring.Uses
	now  func() time.Time
}

// Keys implements readapi.Access.
func (l accessList) Keys(ctx context.Context) (all []resource.APIKey, err error) {
	uses, err := l.uses.All(ctx)
	if err != nil {
		return nil, err
	}
	l.keys.Keys(func(id access.KeyID, key access.Key) {
		shown := resource.APIKeyOf(id, key, l.now())
		shown.UsedAt = resource.Moment(uses[id])
		all = append(all, shown)
	})
	return all, nil
}

// Roles implements readapi.Access.
func (l accessList) Roles() (all []resource.Role) {
	for _, name := range access.Roles() {
		grants, _ := access.BuiltIn(name)
		all = append(all, resource.RoleOf(name, grants))
	}
	var own []resource.Role
	l.keys.Roles(func(name access.Role, grants access.Grants) { own = append(own, resource.RoleOf(name, grants)) })
	slices.SortFunc(own, func(a, b resource.Role) int { return strings.Compare(string(a.Role), string(b.Role)) })
	return append(all, own...)
}

// adminKeyFile is the file with the first key, if the shop uses the program's own database.
const adminKeyFile = "admin.key"

// firstKey makes the first admin's key, because without it nobody could make other keys. It writes
// the key to a file that only the owner can read, and returns the file's name. With DATABASE_URL
// there is no data directory. Then it makes no key, and the program's log says how to make one.
func (n *node) firstKey(ctx context.Context, dir string) (file string, err error) {
	if n.database.server == nil {
		n.log.WarnContext(ctx, "there is no API key yet: make one with daybook keys create --role admin --name NAME")
		return "", nil
	}
	id := keyring.NewID()
	secret := keyring.NewSecret(id)
	file = filepath.Join(dir, adminKeyFile)
	// Write the file first. If the program stops now, there is a file with a key that is not good.
	// The other way round, there would be a good key whose secret nobody has.
	if err := writeSecret(file, secret.Text); err != nil {
		return "", fmt.Errorf("write the first API key: %w", err)
	}
	issue := access.IssueKey{Key: id, Name: "first admin", Role: access.Admin, Hash: secret.Hash, Now: n.now()}
	if _, err := n.changeKey(ctx, id, issue); err != nil {
		return "", fmt.Errorf("make the first API key: %w", err)
	}
	n.log.InfoContext(ctx, "the first API key was written", "file", file, "key_id", id)
	return file, nil
}

// writeSecret writes a file that only its owner can read. If there is a file of that name, it is
// replaced, whatever its mode is.
func writeSecret(file, text string) error {
	fresh, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = fresh.WriteString(text + "\n")
	err = errors.Join(err, fresh.Sync(), fresh.Close())
	if err == nil {
		err = os.Rename(fresh.Name(), file)
	}
	if err != nil {
		_ = os.Remove(fresh.Name())
	}
	return err
}
