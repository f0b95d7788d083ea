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

// readSecretFiles puts what --database-url-file and --kurrentdb-url-file hold in
// place of --database-url and --kurrentdb-url.
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
		if *secret.value != "" { // flags are checked already, so both are variables
			return usagef("the environment gives both --%s and --%[1]s-file: give one of them", secret.flag)
		}
		value, err := readSecretFile(secret.file)
		if err != nil {
			return usagef("--%s-file %s: %v", secret.flag, secret.file, err)
		}
		*secret.value = value
	}
	return nil
}

// maxSecret is far above any connection string, and bounds a wrong file.
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

// hidden stands where a password is not shown.
const hidden = "xxxxx"

// hidePassword makes a connection string fit to be shown: a URL, or the
// "key=value" pairs that PostgreSQL's clients take. A string that cannot be read
// for sure is hidden as a whole, because nobody can tell which part of it is the
// password.
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
	// A password with an unescaped / ? or # ends up, in part, behind the host. Then
	// the @ that ends it is there too. With an unescaped @ of its own, a part of it is
	// taken for the host by who looks for the first @.
	if strings.Contains(u.EscapedPath()+u.RawQuery+u.EscapedFragment(), "@") || u.Fragment != "" || strings.Count(connection, "@") > 1 {
		return hidden
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return hidden
	}
	// A password with an unescaped & ends up, in part, in another setting, so none
	// of them is shown beside one that may be a password, as each may that is not harmless.
	if slices.ContainsFunc(slices.Collect(maps.Keys(query)), mayBeSecret) {
		u.RawQuery = hidden
	}
	u.Host = hostsOf(connection, u.Host)
	return u.Redacted()
}

// harmless are the settings of connection strings, in lower case, whose values are no
// secrets. All others are hidden, because a setting that nobody knows, or that is
// spelled wrong, may be one.
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

// pair is one "key=value" of a connection string, with the separator before it.
// A value without quotes ends at white space; a backslash takes the next
// character as it is, white space too.
var pair = regexp.MustCompile(`(?s)^(\s*)([A-Za-z0-9_]+)(\s*=\s*)('(?:[^'\\]|\\.)*'|(?:[^\s'\\]|\\.)*)`)

func hideInPairs(connection string) string {
	var shown strings.Builder
	for rest := connection; strings.TrimSpace(rest) != ""; {
		found := pair.FindStringSubmatch(rest)
		// Two pairs have white space between them: 'a'b is no value.
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

// A cluster's connection string names several hosts, which a URL cannot:
// oneHost puts a single one in their place, and hostsOf gives them back.
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
