package egress

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"strconv"
	"syscall"
)

// Errors of this package, matched with [errors.Is]. An error is also
// context.DeadlineExceeded or context.Canceled where that ended the request.
var (
	// ErrRefused: the policy does not allow the request.
	ErrRefused = errors.New("request refused")
	// ErrInvalid: the method, a header or the body's size is not valid.
	ErrInvalid = errors.New("invalid request")
	// ErrTooLarge: the response is larger than Policy.MaxResponseBytes.
	ErrTooLarge = errors.New("response too large")
	// ErrFailed: the host could not be reached, or did not answer as it should.
	ErrFailed = errors.New("request failed")
)

// failure is a message and what it is. It keeps no other error, because the
// errors of package net print resolved addresses.
type failure struct {
	is      error
	message string
}

func (f *failure) Error() string { return f.is.Error() + ": " + f.message }
func (f *failure) Unwrap() error { return f.is }

func refuse(message string) error  { return &failure{ErrRefused, message} }
func invalid(message string) error { return &failure{ErrInvalid, message} }

// explain turns an error of the transport into one that may be shown.
func explain(ctx context.Context, host string, err error) error {
	var own *failure
	if errors.As(err, &own) {
		return own // a refusal from the dialer
	}
	if ended := ctx.Err(); ended != nil {
		return &failure{ended, "while waiting for " + strconv.Quote(host)}
	}
	return &failure{ErrFailed, strconv.Quote(host) + " " + reason(err)}
}

// reason continues a sentence that begins with the host.
func reason(err error) string {
	var (
		dns   *net.DNSError
		errno syscall.Errno
		timer net.Error
		cert  *tls.CertificateVerificationError
		name  x509.HostnameError
		plain tls.RecordHeaderError
		alert tls.AlertError
	)
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "is not a known host"
	case errors.As(err, &dns):
		return "could not be looked up"
	case errors.As(err, &name):
		return "has a certificate for another name"
	case errors.As(err, &cert):
		return "has a certificate that is not trusted"
	case errors.As(err, &plain):
		return "does not speak TLS"
	case errors.As(err, &alert):
		return "ended the TLS handshake"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused the connection"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "closed the connection early"
	case errors.As(err, &timer) && timer.Timeout():
		return "did not answer in time"
	case errors.As(err, &errno):
		return "could not be reached: " + errno.Error()
	}
	return "did not answer as an HTTP server does"
}
