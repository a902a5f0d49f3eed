package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vitrine/internal/redistest"
)

// The certificate is checked: an authority of our own is trusted where it is named,
// and the system's authorities are not enough.
func TestTLS(t *testing.T) {
	certificate, key := certify(t)
	server := redistest.Start(t, "--tls-cert-file", certificate, "--tls-key-file", key,
		"--tls-ca-cert-file", certificate, "--tls-auth-clients", "no")
	host, _, err := net.SplitHostPort(server.Addr)
	if err != nil {
		t.Fatal(err)
	}
	// Only now is a port free that nobody takes before redis-server listens on it.
	var port string
	eventually(t, "a port for TLS", func() bool {
		var config net.ListenConfig
		l, err := config.Listen(t.Context(), "tcp", net.JoinHostPort(host, "0"))
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		_ = l.Close()
		return server.Do("CONFIG", "SET", "tls-port", port) == "OK"
	})
	url := "rediss://" + net.JoinHostPort(host, port)

	trusting, _ := connect(t, url+"?ca_file="+certificate, patient)
	if replies, err := pipe(trusting, "k", command("set", "k", "v")); err != nil || replies[0] != "OK" {
		t.Errorf("trusted: got %v, %v, want OK", replies, err)
	}
	doubting, _ := connect(t, url, patient)
	if replies, err := pipe(doubting, "k", command("get", "k")); err == nil {
		t.Errorf("not trusted: got %v, want an error", replies)
	}
	elsewhere, _ := connect(t, url+"?server_name=other.test&ca_file="+certificate, patient)
	if replies, err := pipe(elsewhere, "k", command("get", "k")); err == nil {
		t.Errorf("of another host: got %v, want an error", replies)
	}
}

// certify makes a certificate for loopback that is its own authority.
func certify(t *testing.T) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "redis of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalECPrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	write := func(name, kind string, content []byte) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: content}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	return write("certificate.pem", "CERTIFICATE", der), write("key.pem", "EC PRIVATE KEY", secret)
}
