package egress_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer is a DNS server inside the test. The resolver under test is Go's
// own, so that requests go through the look-up and dialling of production.
type nameServer struct {
	mu    sync.Mutex
	names map[string][]netip.Addr
	// then replaces a name's addresses after its first answer.
	then map[string][]netip.Addr
	asks map[string]int // questions for A records
}

func newNameServer() *nameServer {
	return &nameServer{names: map[string][]netip.Addr{}, then: map[string][]netip.Addr{}, asks: map[string]int{}}
}

func (s *nameServer) add(name string, addrs ...string) {
	for _, a := range addrs {
		s.names[name] = append(s.names[name], netip.MustParseAddr(a))
	}
}

func (s *nameServer) asked(name string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asks[name]
}

func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe() // no PacketConn: messages have a length before them
		go s.serve(server)
		return client, nil
	}}
}

func (s *nameServer) serve(conn net.Conn) {
	defer conn.Close()
	for {
		var size [2]byte
		if _, err := io.ReadFull(conn, size[:]); err != nil {
			return
		}
		question := make([]byte, binary.BigEndian.Uint16(size[:]))
		if _, err := io.ReadFull(conn, question); err != nil {
			return
		}
		answer := s.answer(question)
		if _, err := conn.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
			return
		}
	}
}

func (s *nameServer) answer(question []byte) []byte {
	var m dnsmessage.Message
	if err := m.Unpack(question); err != nil {
		panic(err)
	}
	m.Response, m.Authoritative, m.RecursionAvailable = true, true, true
	m.Additionals = nil
	q := m.Questions[0]
	name := strings.TrimSuffix(strings.ToLower(q.Name.String()), ".")
	s.mu.Lock()
	defer s.mu.Unlock()
	addrs, known := s.names[name]
	if !known {
		m.RCode = dnsmessage.RCodeNameError
	}
	for _, a := range addrs {
		h := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
		switch {
		case q.Type == dnsmessage.TypeA && a.Is4():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AResource{A: a.As4()}})
		case q.Type == dnsmessage.TypeAAAA && a.Is6():
			m.Answers = append(m.Answers, dnsmessage.Resource{Header: h, Body: &dnsmessage.AAAAResource{AAAA: a.As16()}})
		}
	}
	if q.Type == dnsmessage.TypeA {
		s.asks[name]++
		if next, ok := s.then[name]; ok {
			s.names[name] = next
		}
	}
	b, err := m.Pack()
	if err != nil {
		panic(err)
	}
	return b
}

func TestNameServer(t *testing.T) {
	dns := newNameServer()
	dns.add("both.test", "192.0.2.1", "2001:db8::1")
	addrs, err := dns.resolver().LookupNetIP(t.Context(), "ip", "both.test")
	if err != nil || len(addrs) != 2 {
		t.Fatalf("LookupNetIP = %v, %v; the test's name server does not work", addrs, err)
	}
}
