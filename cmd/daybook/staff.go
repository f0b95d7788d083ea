package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"daybook/commands"
	"daybook/commands/signin"
	"daybook/domain/access"
	"daybook/domain/staff"
	"daybook/domain/unit"
	"daybook/eventstore"
	"daybook/internal/problem"
	"daybook/internal/resource"
	"daybook/readapi"
)

// staffCommand manages people over the log itself, so it needs no key. It is for the first person,
// and for a shop whose admins cannot sign in. A running server has routes that do the same.
type staffCommand struct {
	Invite   staffInviteCommand   `cmd:"" help:"Invite a person. The token with which they set a password is printed, or sent with --smtp-url. It is shown only then."`
	List     staffListCommand     `cmd:"" help:"List all people."`
	Token    staffTokenCommand    `cmd:"" help:"Give a person another token, to join or to set a new password."`
	Email    staffEmailCommand    `cmd:"" help:"Change a person's e-mail address. It changes once the token is used that is printed, or sent to the new address with --smtp-url."`
	Role     staffRoleCommand     `cmd:"" help:"Give a person another role. Their sessions end."`
	Unenroll staffUnenrollCommand `cmd:"" help:"Remove a person's lost second factor. Their sessions end."`
	Sessions staffSessionsCommand `cmd:"" help:"List the sessions in which a person is signed in."`
	SignOut  staffSignOutCommand  `cmd:"" name:"end-session" help:"End sessions of a person. The person can sign in again."`
	Disable  staffDisableCommand  `cmd:"" help:"End a person's access for good. Running servers refuse them at once."`
}

type staffInviteCommand struct {
	Email string `required:"" placeholder:"ADDRESS" help:"The address with which the person will sign in."`
	Name  string `required:"" placeholder:"NAME" help:"What the person is called."`
	Role  string `required:"" placeholder:"ROLE" help:"What they may do: storefront, operator, manager, auditor, analyst, admin, or a role of the shop's own that reaches everything."`

	Mail mailFlags `embed:""`
}

type staffListCommand struct{}

type staffTokenCommand struct {
	Person string `arg:"" help:"The id of the person."`

	Mail mailFlags `embed:""`
}

type staffEmailCommand struct {
	Person string `arg:"" help:"The id of the person."`
	Email  string `arg:"" help:"The new address."`

	Mail mailFlags `embed:""`
}

type staffSessionsCommand struct {
	Person string `arg:"" help:"The id of the person."`
}

type staffSignOutCommand struct {
	Person  string `arg:"" help:"The id of the person."`
	Session string `arg:"" optional:"" help:"The id of the session, as daybook staff sessions lists it. If the person has no such session, the command fails."`
	All     bool   `help:"End all sessions of the person."`
}

type staffRoleCommand struct {
	Person string `arg:"" help:"The id of the person."`
	Role   string `arg:"" help:"What they may do from now on: a role as for daybook staff invite."`
}

type staffUnenrollCommand struct {
	Person string `arg:"" help:"The id of the person."`
}

type staffDisableCommand struct {
	Person string `arg:"" help:"The id of the person."`
	Reason string `placeholder:"TEXT" help:"Why it ends."`
}

func (c *staffInviteCommand) check(context.Context, *program) error {
	if _, err := signin.ParseAddress(c.Email); err != nil {
		return usagef("--%v", err)
	}
	if !unit.FitsLine(c.Name, unit.MaxReference) {
		return usagef("--name must be one line of 1 to %d characters", unit.MaxReference)
	}
	if _, err := access.ParseRole(c.Role); err != nil {
		return usagef("--role: %v", err)
	}
	_, err := c.Mail.config()
	return err
}

func (c *staffTokenCommand) check(context.Context, *program) error {
	if err := checkPerson(c.Person); err != nil {
		return err
	}
	_, err := c.Mail.config()
	return err
}

func (c *staffEmailCommand) check(context.Context, *program) error {
	if _, err := signin.ParseAddress(c.Email); err != nil {
		return usagef("EMAIL %q: %v", c.Email, err)
	}
	if err := checkPerson(c.Person); err != nil {
		return err
	}
	_, err := c.Mail.config()
	return err
}

func (c *staffSessionsCommand) check(context.Context, *program) error { return checkPerson(c.Person) }

func (c *staffSignOutCommand) check(context.Context, *program) error {
	if (c.Session == "") != c.All {
		return usagef("give either the id of a session or --all")
	}
	return checkPerson(c.Person)
}

func (c *staffRoleCommand) check(context.Context, *program) error {
	if _, err := access.ParseRole(c.Role); err != nil {
		return usagef("ROLE %q: %v", c.Role, err)
	}
	return checkPerson(c.Person)
}

func (c *staffUnenrollCommand) check(context.Context, *program) error { return checkPerson(c.Person) }

func (c *staffDisableCommand) check(context.Context, *program) error {
	if fault := unit.TextFault(c.Reason, unit.MaxNote); fault != "" {
		return usagef("--reason: %s", fault)
	}
	return checkPerson(c.Person)
}

func checkPerson(text string) error {
	if _, err := staff.ParsePersonID(text); err != nil {
		return usagef("PERSON %q: %v", text, err)
	}
	return nil
}

// Run implements the subcommand.
func (c *staffInviteCommand) Run(ctx context.Context, p *program) error {
	return p.overLogWithMail(ctx, c.Mail, func(n *node) error {
		member, token, err := n.desk.Invite(ctx, consoleCall(), signin.Contact{Email: c.Email, Name: c.Name}, access.Role(c.Role))
		if err != nil {
			return err
		}
		return p.printToken(member, token)
	})
}

// Run implements the subcommand.
func (c *staffTokenCommand) Run(ctx context.Context, p *program) error {
	return p.overLogWithMail(ctx, c.Mail, func(n *node) error {
		member, token, err := n.desk.GiveToken(ctx, consoleCall(), staff.PersonID(c.Person))
		if err != nil {
			return err
		}
		return p.printToken(member, token)
	})
}

// Run implements the subcommand.
func (c *staffEmailCommand) Run(ctx context.Context, p *program) error {
	return p.overLogWithMail(ctx, c.Mail, func(n *node) error {
		m, token, err := n.desk.ChangeEmail(ctx, consoleCall(), staff.PersonID(c.Person), c.Email)
		if err != nil {
			return err
		}
		shown := resource.StaffToken{Person: shownPerson(m), Token: token.Text, Until: token.Until, Mail: string(token.Delivery)}
		err = p.print(shown, func(out io.Writer) error {
			w := &lineWriter{out: out}
			until := token.Until.Format("2006-01-02 15:04 MST")
			switch token.Delivery {
			case signin.Sent:
				w.printf("A mail with a link was sent to the new address of %s (%s). The link is good once, until %s.\n", m.ID, m.Name, until)
			case signin.NotSent:
				w.printf("The mail for %s (%s) was not sent; the messages say why. Run the command again.\n", m.ID, m.Name)
			case signin.ByHand:
				w.printf("%s\n", token.Text)
				w.printf("With this token %s (%s) confirms the new address: POST /v1/auth/email/confirm. It is shown only now, and is good once, until %s.\n", m.ID, m.Name, until)
			}
			return w.err
		})
		if err == nil && token.Delivery == signin.NotSent {
			err = errReported
		}
		return err
	})
}

// Run implements the subcommand.
func (c *staffSessionsCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		if _, err := n.desk.Member(ctx, staff.PersonID(c.Person)); err != nil {
			return err
		}
		all, err := peopleList{n.desk}.sessions(ctx, staff.PersonID(c.Person), "")
		if err != nil {
			return err
		}
		return p.print(resource.SessionList{Items: append([]resource.Session{}, all...)}, func(out io.Writer) error {
			w := &lineWriter{out: out}
			for _, s := range all {
				w.printf("%s  began %s, used %s, ends %s\n", s.SessionID, shownTime(s.BeganAt), shownTime(s.UsedAt), shownTime(s.ExpiresAt))
			}
			return w.err
		})
	})
}

func shownTime(at time.Time) string { return at.UTC().Format("2006-01-02 15:04 MST") }

// Run implements the subcommand.
func (c *staffSignOutCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		id, ended := staff.PersonID(c.Person), 0
		m, err := n.desk.Member(ctx, id)
		if err != nil {
			return err
		}
		all, err := n.desk.Sessions(ctx, id)
		if err != nil {
			return err
		}
		for _, one := range all {
			if !c.All && one.ID != c.Session {
				continue
			}
			if _, err := n.desk.EndSessionOf(ctx, consoleCall(), id, one.ID); err != nil {
				return err
			}
			ended++
		}
		if ended == 0 && !c.All {
			return fmt.Errorf("%s has no session %s", id, c.Session)
		}
		return p.print(struct {
			Person resource.StaffMember `json:"person"`
			Ended  int                  `json:"ended"`
		}{shownPerson(m), ended}, func(out io.Writer) error {
			w := &lineWriter{out: out}
			w.printf("%d sessions of %s (%s) were ended.\n", ended, m.ID, m.Name)
			return w.err
		})
	})
}

// printToken prints a token, or what became of the mail with it. If the mail was not sent, the exit
// code says so, too.
func (p *program) printToken(m signin.Member, token signin.Token) error {
	shown := resource.StaffToken{Person: shownPerson(m), Token: token.Text, Until: token.Until, Mail: string(token.Delivery)}
	err := p.print(shown, func(out io.Writer) error {
		w := &lineWriter{out: out}
		switch token.Delivery {
		case signin.Sent:
			w.printf("A mail with a token for %s (%s, %s) was sent to %s. The token is good once, until %s.\n", m.ID, m.Name, m.Role, m.Email, token.Until.Format("2006-01-02 15:04 MST"))
			return w.err
		case signin.NotSent:
			w.printf("The mail for %s (%s, %s) was not sent; the messages say why. Send another one: daybook staff token %[1]s\n", m.ID, m.Name, m.Role)
			return w.err
		case signin.ByHand:
		}
		w.printf("%s\n", token.Text)
		w.printf("With this token %s (%s, %s) sets a password: POST /v1/auth/token. It is shown only now, and is good once, until %s.\n", m.ID, m.Name, m.Role, token.Until.Format("2006-01-02 15:04 MST"))
		return w.err
	})
	if err == nil && token.Delivery == signin.NotSent {
		err = errReported
	}
	return err
}

// Run implements the subcommand.
func (c *staffRoleCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		m, err := n.desk.ChangeRole(ctx, consoleCall(), staff.PersonID(c.Person), access.Role(c.Role))
		if err != nil {
			return err
		}
		return p.print(shownPerson(m), func(out io.Writer) error {
			w := &lineWriter{out: out}
			w.printf("%s (%s) has the role %s now.\n", m.ID, m.Name, m.Role)
			return w.err
		})
	})
}

// Run implements the subcommand.
func (c *staffUnenrollCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		m, err := n.desk.RemoveFactor(ctx, consoleCall(), staff.PersonID(c.Person))
		if err != nil {
			return err
		}
		return p.print(shownPerson(m), func(out io.Writer) error {
			w := &lineWriter{out: out}
			w.printf("%s (%s) has no second factor now.\n", m.ID, m.Name)
			return w.err
		})
	})
}

// Run implements the subcommand.
func (c *staffListCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		people, err := peopleList{n.desk}.Staff(ctx)
		if err != nil {
			return err
		}
		return p.print(people, func(out io.Writer) error {
			w := &lineWriter{out: out}
			for _, m := range people {
				w.printf("%s  %-8s %-12s %s <%s>\n", m.PersonID, m.Status, m.Role, m.Name, m.Email)
			}
			return w.err
		})
	})
}

// Run implements the subcommand.
func (c *staffDisableCommand) Run(ctx context.Context, p *program) error {
	return p.overLog(ctx, func(n *node) error {
		m, err := n.desk.Disable(ctx, consoleCall(), staff.PersonID(c.Person), c.Reason)
		if err != nil {
			return err
		}
		return p.print(shownPerson(m), func(out io.Writer) error {
			w := &lineWriter{out: out}
			w.printf("The access of %s (%s) has ended.\n", m.ID, m.Name)
			return w.err
		})
	})
}

// consoleCall is a call of the command line. Its actor is "system:console".
func consoleCall() commands.Call {
	who := access.System("console")
	return commands.Call{Who: who, Meta: eventstore.Metadata{CommandID: uuid.New(), Actor: who.ID, Channel: "console"}}
}

func shownPerson(m signin.Member) resource.StaffMember {
	return resource.StaffMemberOf(m.ID, m.Person, m.Name, m.Email)
}

// peopleList lists people for the read API.
type peopleList struct{ desk *signin.Desk }

// Staff implements readapi.People.
func (l peopleList) Staff(ctx context.Context) ([]resource.StaffMember, error) {
	all, err := l.desk.Members(ctx)
	shown := make([]resource.StaffMember, len(all))
	for i, m := range all {
		shown[i] = shownPerson(m)
	}
	return shown, err
}

// Sessions implements readapi.People.
func (l peopleList) Sessions(ctx context.Context, who access.Principal) (shown []resource.Session, err error) {
	id := signin.PersonOf(who)
	if id == "" {
		return nil, nil
	}
	return l.sessions(ctx, id, who.Credential)
}

// SessionsOf implements readapi.People.
func (l peopleList) SessionsOf(ctx context.Context, person string) ([]resource.Session, error) {
	m, err := l.desk.Member(ctx, staff.PersonID(person))
	if errors.Is(err, staff.ErrNotFound) {
		return nil, readapi.ErrNoPerson
	}
	if err != nil {
		return nil, err
	}
	return l.sessions(ctx, m.ID, problem.RequestOf(ctx).Who.Credential) // the caller may be this person
}

// Logins implements readapi.People.
func (l peopleList) Logins(ctx context.Context, customer unit.CustomerID) (shown []readapi.Login, err error) {
	all, err := l.desk.Logins(ctx, customer)
	for _, m := range all {
		shown = append(shown, readapi.Login{Shown: resource.LoginOf(m.ID, m.Person), Stream: staff.StreamOf(m.ID)})
	}
	return shown, err
}

func (l peopleList) sessions(ctx context.Context, id staff.PersonID, current string) (shown []resource.Session, err error) {
	all, err := l.desk.Sessions(ctx, id)
	for _, s := range all {
		shown = append(shown, resource.Session{
			SessionID: s.ID, BeganAt: resource.Moment(s.BeganAt), UsedAt: resource.Moment(s.UsedAt), ExpiresAt: resource.Moment(s.ExpiresAt),
			Current: s.Hash == current,
		})
	}
	return shown, err
}
