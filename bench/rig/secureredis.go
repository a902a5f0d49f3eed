package rig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// StartSecureRedis starts a redis-server that speaks TLS only, with a certificate of an
// authority made now, and knows one user, who may do what the sidecar does and no more.
func StartSecureRedis(ctx context.Context) (*Redis, error) {
	return startRedis(ctx, func(r *Redis, port string) error {
		secret := rand.Text()
		authority := filepath.Join(r.dir, "authority.pem")
		certificate, key := filepath.Join(r.dir, "server.pem"), filepath.Join(r.dir, "server.key")
		if err := certify(authority, certificate, key); err != nil {
			return err
		}
		r.url = fmt.Sprintf("rediss://vitrine:%s@%s?ca_file=%s", secret, r.addr, authority)
		r.args = []string{
			"--port", "0", "--tls-port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", r.dir,
			"--tls-cert-file", certificate, "--tls-key-file", key, "--tls-ca-cert-file", authority, "--tls-auth-clients", "no",
			"--user", "default", "off", "resetpass",
			"--user", "vitrine", "on", ">" + secret, "~v1:*", "&v1:*", "+@all", "-@admin", "-@dangerous", "+info",
		}
		return nil
	})
}

// certify writes an authority's certificate, and one for 127.0.0.1 that it has signed with
// its key. The authority's own key is kept nowhere.
func certify(authority, certificate, key string) error {
	signer, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a bench run"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, BasicConstraintsValid: true, IsCA: true,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "redis of a bench run"},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, signer.Public(), signer)
	if err != nil {
		return fmt.Errorf("signing the authority's certificate: %w", err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, root, private.Public(), signer)
	if err != nil {
		return fmt.Errorf("signing the server's certificate: %w", err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	for _, f := range []struct {
		path, kind string
		der        []byte
	}{{authority, "CERTIFICATE", rootDER}, {certificate, "CERTIFICATE", leafDER}, {key, "PRIVATE KEY", keyDER}} {
		if err := os.WriteFile(f.path, pem.EncodeToMemory(&pem.Block{Type: f.kind, Bytes: f.der}), 0o600); err != nil {
			return err
		}
	}
	return nil
}
