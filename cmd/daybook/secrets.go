package main

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
)

// readSecretFiles sets --database-url and --kurrentdb-url to the contents of the files that
// --database-url-file and --kurrentdb-url-file name.
func (o *options) readSecretFiles() error {
	for _, secret := range []struct {
		flag, file string
		value      *string
	}{
		{"database-url", o.DatabaseURLFile, &o.DatabaseURL},
		{"kurrentdb-url", o.KurrentDBFile, &o.KurrentDB},
	} {
		if secret.file == "" {
			continue
		}
		// The command line was checked before, so both come from environment variables.
		if *secret.value != "" {
			return usagef("the environment gives both --%s and --%[1]s-file: give one of them", secret.flag)
		}
		value, err := readSecretFile(secret.file)
		if err != nil {
			return usagef("--%s-file %s: %v", secret.flag, secret.file, err)
		}
		*secret.value = value
		o.origins.fromFile(secret.flag, secret.flag+"-file")
	}
	return nil
}

// maxSecret bounds how much of a file is read, because the path may name a wrong file. No
// connection string is nearly as long.
const maxSecret = 64 << 10 // bytes

// readSecretFile reads a file of one line. Its errors show nothing of what the
// file holds.
func readSecretFile(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		if wrapped, ok := errors.AsType[*os.PathError](err); ok {
			err = wrapped.Err // the path is named already
		}
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxSecret+1))
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	value := strings.TrimRight(string(data), "\r\n")
	switch {
	case len(data) > maxSecret:
		return "", fmt.Errorf("longer than %d bytes", maxSecret)
	case strings.TrimSpace(value) == "":
		return "", errors.New("empty")
	case strings.ContainsAny(value, "\r\n\x00"):
		return "", errors.New("want one line")
	}
	return value, nil
}

// hidden is shown in place of a password.
const hidden = "xxxxx"

// hidePassword returns a connection string without its password. The string is a URL or has the
// "key=value" pairs of PostgreSQL's clients. If it is not certain how to read the string, all of it
// is hidden, because it is not known which part is the password.
func hidePassword(connection string) string {
	if connection == "" {
		return ""
	}
	if !strings.Contains(connection, "://") {
		return hideInPairs(connection)
	}
	return hideInURL(connection)
}

func hideInURL(connection string) string {
	u, err := url.Parse(oneHost(connection))
	if err != nil || u.Opaque != "" {
		return hidden
	}
	// A password may have characters that should be percent-encoded. Example: in
	// postgres://ann:a/b@host/d, "b@host/d" looks like the path, although "a/b" is the password. In
	// postgres://ann:a@b@host/d, a reader that looks for the first @ takes "b@host" for the host.
	// So nothing is shown if there is an @ after the host, a fragment, or more than one @.
	if strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@") || u.Fragment != "" || strings.Count(connection, "@") > 1 {
		return hidden
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return hidden
	}
	// If a password has an unescaped &, a part of it looks like another setting. So if one setting
	// is not harmless, no setting is shown.
	if slices.ContainsFunc(slices.Collect(maps.Keys(query)), mayBeSecret) {
		u.RawQuery = hidden
	}
	u.Host = hostsOf(connection, u.Host)
	return u.Redacted()
}

// harmless are the settings of connection strings, in lower case, whose values are not secret. The
// values of all other settings are hidden, because an unknown or misspelled setting may be a
// secret.
var harmless = strings.Fields(`
	tls tlsverifycert tlscafile usercertfile userkeyfile connectionname nodepreference defaultdeadline
	keepaliveinterval keepalivetimeout maxdiscoverattempts discoveryinterval gossiptimeout throwonappendfailure
	host hostaddr port user dbname sslmode sslcert sslkey sslrootcert sslcrl sslsni sslnegotiation ssl_min_protocol_version ssl_max_protocol_version
	application_name connect_timeout search_path client_encoding timezone options target_session_attrs krbsrvname gssencmode channel_binding
	min_protocol_version max_protocol_version passfile service servicefile default_query_exec_mode statement_cache_capacity description_cache_capacity
	pool_max_conns pool_min_conns pool_min_idle_conns pool_max_conn_lifetime pool_max_conn_idle_time pool_health_check_period pool_max_conn_lifetime_jitter
	statement_timeout idle_in_transaction_session_timeout lock_timeout transaction_timeout idle_session_timeout
	tcp_user_timeout keepalives keepalives_idle keepalives_interval keepalives_count`)

func mayBeSecret(key string) bool { return !slices.Contains(harmless, strings.ToLower(key)) }

// pair is one "key=value" of a connection string, with the separator before it. A value without
// quotes ends at white space. A backslash makes the next character a part of the value, even white
// space.
var pair = regexp.MustCompile(`(?s)^(\s*)([A-Za-z0-9_]+)(\s*=\s*)('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)`)

func hideInPairs(connection string) string {
	var shown strings.Builder
	for rest := connection; strings.TrimSpace(rest) != ""; {
		found := pair.FindStringSubmatch(rest)
		// There must be white space between two pairs, so 'a'b is no value.
		if found == nil || shown.Len() > 0 && found[1] == "" {
			return hidden
		}
		value := found[4]
		if mayBeSecret(found[2]) {
			value = hidden
		}
		shown.WriteString(found[1] + found[2] + found[3] + value)
		rest = rest[len(found[0]):]
	}
	return shown.String()
}

// The connection string of a cluster names several hosts, and a URL can have only one. So oneHost
// replaces them by a single host, and hostsOf puts them back.
var severalHosts = regexp.MustCompile(`^([^/]*//(?:[^/?#@]*@)?)([^/?#@,]+(?:,[^/?#@,]+)+)($|[/?#])`)

func oneHost(connection string) string {
	return severalHosts.ReplaceAllString(connection, "${1}cluster${3}")
}

func hostsOf(connection, host string) string {
	if found := severalHosts.FindStringSubmatch(connection); found != nil {
		return found[2]
	}
	return host
}
