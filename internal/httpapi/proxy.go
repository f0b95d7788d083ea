package httpapi

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"daybook/internal/problem"
)

// The headers in which a proxy can say who its client is.
const (
	ForwardedFor = "x-forwarded-for"
	Forwarded    = "forwarded"
)

// ParseProxy reads an address or a network of proxies, such as 10.0.0.7 or 10.0.0.0/8.
func ParseProxy(text string) (netip.Prefix, error) {
	if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
		ip = ip.Unmap()
		return netip.PrefixFrom(ip, ip.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil || prefix.Addr().Is4In6() {
		return netip.Prefix{}, fmt.Errorf("%q is no address and no network: want 10.0.0.7 or 10.0.0.0/8", text)
	}
	if prefix.Bits() == 0 {
		return netip.Prefix{}, fmt.Errorf("%q has all addresses, so every client could say that it is somebody else", text)
	}
	return prefix.Masked(), nil
}

// proxies are the trusted proxies in front of this server. This server believes them when they say
// who their client is. If it is nil, there are none.
type proxies struct {
	trusted []netip.Prefix
	header  string // the only header that is read, because a proxy may pass on the other as the client sent it
}

// newProxies makes proxies of Options.Proxies and Options.ProxyHeader.
func newProxies(trusted []string, header string) (*proxies, error) {
	if len(trusted) == 0 {
		return nil, nil
	}
	p := &proxies{header: header}
	for _, text := range trusted {
		prefix, err := ParseProxy(text)
		if err != nil {
			return nil, err
		}
		p.trusted = append(p.trusted, prefix)
	}
	return p, nil
}

func (p *proxies) trust(ip netip.Addr) bool {
	return p != nil && slices.ContainsFunc(p.trusted, func(prefix netip.Prefix) bool { return prefix.Contains(ip) })
}

// origin is where a request comes from.
type origin struct {
	client string // the client for whom it counts; see clientOf
	secure bool   // the client's connection has TLS, here or at a proxy
	// direct means that the request came neither through a trusted proxy, nor by TLS, nor from this
	// machine, although the server is behind a proxy. So others may have read its key.
	direct bool
}

// originOf tells where a request comes from. Only a trusted proxy is believed.
func (p *proxies) originOf(r *http.Request) origin {
	peer, known := addressOf(r.RemoteAddr)
	if !known {
		return origin{client: r.RemoteAddr, secure: r.TLS != nil, direct: p != nil && r.TLS == nil}
	}
	if !p.trust(peer) {
		return origin{client: ClientAt(peer), secure: r.TLS != nil, direct: p != nil && r.TLS == nil && !peer.IsLoopback()}
	}
	hops, proto := forwardedFor(r.Header), lastOf(r.Header, "X-Forwarded-Proto")
	if p.header == Forwarded {
		hops, proto = forwarded(r.Header)
	}
	return origin{client: ClientAt(p.clientBehind(peer, hops)), secure: r.TLS != nil || strings.EqualFold(proto, "https")}
}

// clientBehind is the client of the proxy at peer. Each proxy adds the address that it sees at the
// end of hops. So the client's address is the last one that is not a trusted proxy's. The client
// itself sent everything before it, and can write anything there.
func (p *proxies) clientBehind(peer netip.Addr, hops []string) netip.Addr {
	client := peer
	for _, hop := range slices.Backward(hops) {
		ip, known := addressOf(hop)
		if !known {
			return client
		}
		client = ip
		if !p.trust(ip) {
			return client
		}
	}
	return client
}

// addressOf reads an address with or without a port, such as 192.0.2.7, 192.0.2.7:80 or
// [2001:db8::7]:80.
func addressOf(text string) (ip netip.Addr, known bool) {
	text = strings.TrimSpace(text)
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	ip, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(text, "["), "]"))
	return ip.Unmap().WithZone(""), err == nil
}

// forwardedFor is the list in X-Forwarded-For, which may be in several headers.
func forwardedFor(header http.Header) []string {
	all := strings.Join(header.Values("X-Forwarded-For"), ",")
	if all == "" {
		return nil
	}
	return strings.Split(all, ",")
}

// lastOf is the last value of a header that is a list.
func lastOf(header http.Header, name string) string {
	all := header.Values(name)
	if len(all) == 0 {
		return ""
	}
	last := all[len(all)-1]
	return strings.TrimSpace(last[strings.LastIndexByte(last, ',')+1:])
}

// forwarded is the list in Forwarded (RFC 7239), such as for="[2001:db8::7]:80";proto=https, and
// the protocol that the last proxy names. Nothing is known if a quote has no end, because it may be
// a client's quote around what the proxies have added.
func forwarded(header http.Header) (hops []string, proto string) {
	elements, whole := splitQuoted(strings.Join(header.Values("Forwarded"), ","), ',')
	if !whole {
		return nil, ""
	}
	for _, element := range elements {
		hop := ""
		proto = ""
		pairs, _ := splitQuoted(element, ';') // each of its quotes has an end, because whole is true
		for _, pair := range pairs {
			name, value, _ := strings.Cut(strings.TrimSpace(pair), "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "for":
				hop = value
			case "proto":
				proto = value
			}
		}
		hops = append(hops, hop)
	}
	return hops, proto
}

// splitQuoted splits a text at each separator that is not within quotes. Within quotes, a backslash
// makes the next character an ordinary one. whole is false if the last quote has no end.
func splitQuoted(text string, separator byte) (parts []string, whole bool) {
	quoted, from := false, 0
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] == '"':
			quoted = !quoted
		case text[i] == '\\' && quoted:
			i++
		case text[i] == separator && !quoted:
			parts = append(parts, text[from:i])
			from = i + 1
		}
	}
	return append(parts, text[from:]), !quoted
}

// checkProxy refuses a request that did not come through the proxy. Probes are let through, because
// programs near the server send them, such as Kubernetes, and they have no key.
func (o origin) checkProxy(path string) error {
	if o.direct && !isProbe(path) {
		return problem.ProxyRequired()
	}
	return nil
}

// ClientAt returns the client for which a request from an address counts. For IPv6 it is the
// network of 64 bits, because one client usually has all addresses of such a network.
func ClientAt(ip netip.Addr) string {
	if ip = ip.Unmap().WithZone(""); ip.Is4() || ip.IsLoopback() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ip.String()
	}
	return network.String()
}
