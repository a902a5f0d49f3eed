package fakeapi

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"time"
)

// authority is a certificate authority that lives as long as the process, and what
// it has signed. Its keys are never written anywhere.
type authority struct {
	pem    []byte
	pool   *x509.CertPool
	signed map[Certificate]*tls.Certificate
}

// newAuthority makes an authority and its three certificates: a good one for
// loopback, an expired one, and one for another host.
func newAuthority(now time.Time) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the authority's key: %w", err)
	}
	root := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "fakeapi test authority"},
		NotBefore:             now.Add(-48 * time.Hour),
		NotAfter:              now.Add(365 * 24 * time.Hour),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, root, root, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("signing the authority's certificate: %w", err)
	}
	if root, err = x509.ParseCertificate(der); err != nil {
		return nil, fmt.Errorf("reading the authority's certificate: %w", err)
	}
	a := &authority{
		pem:    pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pool:   x509.NewCertPool(),
		signed: make(map[Certificate]*tls.Certificate),
	}
	a.pool.AddCert(root)

	loopback := []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}
	year := now.Add(364 * 24 * time.Hour)
	leaves := map[Certificate]*x509.Certificate{
		"":        {DNSNames: []string{"localhost"}, IPAddresses: loopback, NotAfter: year},
		Expired:   {DNSNames: []string{"localhost"}, IPAddresses: loopback, NotAfter: now.Add(-time.Hour)},
		WrongHost: {DNSNames: []string{"elsewhere.example.com"}, NotAfter: year},
	}
	for kind, leaf := range leaves {
		leaf.SerialNumber = big.NewInt(int64(len(a.signed) + 2))
		leaf.Subject = pkix.Name{CommonName: "fakeapi"}
		leaf.NotBefore = now.Add(-24 * time.Hour)
		leaf.KeyUsage = x509.KeyUsageDigitalSignature
		leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		der, err := x509.CreateCertificate(rand.Reader, leaf, root, key.Public(), key)
		if err != nil {
			return nil, fmt.Errorf("signing a certificate: %w", err)
		}
		a.signed[kind] = &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
	}
	return a, nil
}

// config returns the TLS settings of a server that shows, at every handshake, the
// certificate the director then wants. Session tickets are off, because a resumed
// session would never look at it.
func (a *authority) config(d *director) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS12,
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			p, _ := d.posture()
			return a.signed[p.certificate], nil
		},
	}
}
