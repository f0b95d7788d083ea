package httpapi

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"

	"daybook/internal/problem"
)

// hosts are the host names of this server. They prevent DNS rebinding: a foreign domain name leads
// a browser to this machine. The browser then sends that name, and without this check its page
// would count as a page of this server.
//
// Loopback addresses and "localhost" are always allowed, because no foreign page can have such an
// address.
type hosts map[string]struct{}

func newHosts(public []string) (hosts, error) {
	all := hosts{"localhost": {}}
	for _, name := range public {
		host, err := ParsePublicHost(name)
		if err != nil {
			return nil, err
		}
		all[host] = struct{}{}
	}
	return all, nil
}

// ParsePublicHost reads a name for Options.PublicHosts: a domain name in ASCII
// ("shop.example"; others in their xn-- form) or an IP address, without a port.
// It returns the form in which names are compared.
func ParsePublicHost(text string) (string, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if ip, err := netip.ParseAddr(bare); err == nil && ip.Zone() == "" {
		return ip.Unmap().String(), nil
	}
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if !isDomain(name) {
		return "", fmt.Errorf("%q is no host name: want a name such as shop.example, or an IP address, without a port", text)
	}
	return name, nil
}

// isDomain tells whether a name consists of labels of letters, digits and hyphens.
func isDomain(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		if strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	return true
}

// check refuses a request for another host. If the target of the request is a whole URL, its host
// counts. Otherwise the Host header counts (net/http refuses several).
func (h hosts) check(r *http.Request) error {
	if r.URL.User != nil {
		return problem.Misdirected(r.Host)
	}
	name, port := splitPort(r.Host)
	if strings.Trim(port, "0123456789") != "" || len(port) > 5 {
		return problem.Misdirected(r.Host)
	}
	if inner, opened := strings.CutPrefix(name, "["); opened {
		inner, closed := strings.CutSuffix(inner, "]")
		ip, err := netip.ParseAddr(inner)
		if err == nil && closed && ip.Is6() && ip.Zone() == "" && h.hasAddress(ip) {
			return nil
		}
		return problem.Misdirected(r.Host)
	}
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if ip, err := netip.ParseAddr(name); err == nil {
		if ip.Is4() && h.hasAddress(ip) {
			return nil
		}
		return problem.Misdirected(r.Host)
	}
	if _, served := h[name]; !served {
		return problem.Misdirected(r.Host)
	}
	return nil
}

func (h hosts) hasAddress(ip netip.Addr) bool {
	_, public := h[ip.Unmap().String()]
	return public || ip.Unmap().IsLoopback()
}

// splitPort separates the port, which may be empty or missing.
func splitPort(host string) (name, port string) {
	at := strings.LastIndexByte(host, ':')
	if at < 0 || strings.HasSuffix(host, "]") {
		return host, ""
	}
	return host[:at], host[at+1:]
}

// fromElsewhere tells whether a page of another site made a browser send a read by itself, for
// example with an EventSource. Such a page cannot see the response, but the request takes one of
// the places for open streams. A link that a person follows is allowed.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return r.Header.Get("Sec-Fetch-Mode") != "navigate" || r.Header.Get("Sec-Fetch-Dest") != "document"
	}
	return false
}
