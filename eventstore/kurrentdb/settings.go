package kurrentdb

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// settings are the names that a connection string may set. The client only warns of other
// names, so a misspelled tlsVerifyCert would not be noticed.
const settings = "discoveryInterval gossipTimeout maxDiscoverAttempts nodePreference keepAliveInterval keepAliveTimeout " +
	"tls tlsCaFile userCertFile userKeyFile tlsVerifyCert defaultDeadline"

// parse reads a connection string. Its errors never show the user or the password. The
// client's parser quotes text that it does not understand, so it gets the string without
// them.
func parse(address string) (*esdb.Configuration, error) {
	rest, user, err := cutUser(inOldScheme(address))
	if err != nil {
		return nil, err
	}
	if err := checkSettings(rest); err != nil {
		return nil, err
	}
	config, err := esdb.ParseConnectionString(rest)
	if err != nil {
		return nil, err
	}
	if user != nil {
		config.Username = user.Username()
		config.Password, _ = user.Password()
	}
	switch {
	case config.DefaultDeadline != nil && *config.DefaultDeadline <= 0: // the client accepts it and then fails every call
		return nil, errors.New("defaultDeadline is a whole number of milliseconds, greater than 0")
	case config.GossipTimeout <= 0:
		return nil, errors.New("gossipTimeout is a whole number of seconds, greater than 0")
	case config.NodePreference != esdb.NodePreferenceLeader:
		return nil, errors.New("nodePreference must be leader: what was just written is read again, and other nodes may not have it yet")
	}
	if err := config.Validate(); err != nil {
		return nil, err
	}
	return config, nil
}

// inOldScheme replaces KurrentDB's own schemes by esdb, which the client knows and which
// means the same.
func inOldScheme(address string) string {
	scheme, after, found := strings.Cut(address, "://")
	name, discover, _ := strings.Cut(scheme, "+")
	if !found || name != "kurrentdb" && name != "kurrent" && name != "kdb" {
		return address
	}
	if discover != "" {
		discover = "+" + discover
	}
	return "esdb" + discover + "://" + after
}

// cutUser takes user and password out of a connection string.
func cutUser(address string) (rest string, user *url.Userinfo, err error) {
	scheme, after, found := strings.Cut(address, "://")
	if !found {
		return "", nil, errors.New("it must begin with esdb:// or kurrentdb://, or either with +discover")
	}
	end := strings.IndexAny(after, "/?#")
	if end < 0 {
		end = len(after)
	}
	if strings.Contains(after[end:], "@") {
		return "", nil, errors.New("an @ comes after the hosts: in a user, a password or a file's name, characters such as @ / ? # must be percent-encoded")
	}
	authority := after[:end]
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return address, nil, nil
	}
	name, password, _ := strings.Cut(authority[:at], ":")
	name, errName := url.PathUnescape(name)
	password, errPassword := url.PathUnescape(password)
	switch {
	case errName != nil || errPassword != nil:
		return "", nil, errors.New("user or password is not percent-encoded as it must be: a % stands before two hexadecimal digits")
	case name == "" || password == "":
		return "", nil, errors.New("credentials are a user and a password, both not empty")
	}
	return scheme + "://" + authority[at+1:] + after[end:], url.UserPassword(name, password), nil
}

func checkSettings(address string) error {
	_, query, _ := strings.Cut(address, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return fmt.Errorf("settings: %w", err)
	}
	for key := range values {
		found := false
		for name := range strings.FieldsSeq(settings) {
			found = found || strings.EqualFold(key, name)
		}
		if !found {
			return fmt.Errorf("unknown setting %q; there are: %s", key, settings)
		}
	}
	return nil
}

// CheckAddress refuses a connection string that Open would refuse without asking a server.
func CheckAddress(address string) error {
	if _, err := parse(address); err != nil {
		return fmt.Errorf("connection string: %w", err)
	}
	return nil
}
