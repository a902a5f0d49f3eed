package fashionai_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"vitrine/internal/fashionai"
)

// authority signs certificates for a test.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{key: newKey(t), pool: x509.NewCertPool()}
	a.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, a.cert, a.cert, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.cert)
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// sign returns a certificate for an address, valid until then.
func (a *authority) sign(t *testing.T, ip string, until time.Time) tls.Certificate {
	t.Helper()
	key := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "api"},
		NotBefore: until.Add(-2 * time.Hour), NotAfter: until,
		IPAddresses: []net.IP{net.ParseIP(ip)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// serveTLS returns the URL of an API with a certificate, and how many handshakes resumed a session.
func serveTLS(t *testing.T, cert tls.Certificate) (url string, resumed *int) {
	t.Helper()
	resumed = new(int)
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.TLS.DidResume {
			*resumed++
		}
		if r.Header.Get("Traceparent") == "last" {
			w.Header().Set("Connection", "close")
		}
		io.WriteString(w, ranked)
	}))
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what is tested
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL, resumed
}

func trust(a *authority) func(*fashionai.Options) {
	return func(o *fashionai.Options) { o.RootCAs = a.pool }
}

func TestTLS(t *testing.T) {
	ca := newAuthority(t)
	url, resumed := serveTLS(t, ca.sign(t, "127.0.0.1", time.Now().Add(time.Hour)))
	c := client(t, url, trust(ca))
	for range 3 {
		wantOK(t, c.Recommend(fashionai.Call{Body: []byte(event)}), 0)
	}
	wantOK(t, c.Recommend(fashionai.Call{Body: []byte(event), Traceparent: "last"}), 0)
	wantOK(t, recommend(c), 0)
	if *resumed != 1 {
		t.Errorf("sessions resumed: got %d, want 1", *resumed)
	}
}

func TestBadCertificates(t *testing.T) {
	ca := newAuthority(t)
	soon := time.Now().Add(time.Hour)
	for name, c := range map[string]struct {
		cert  tls.Certificate
		trust *authority
		says  string
	}{
		"expired":        {ca.sign(t, "127.0.0.1", time.Now().Add(-time.Minute)), ca, "expired"},
		"another host's": {ca.sign(t, "192.0.2.1", soon), ca, "192.0.2.1"},
		"unknown signer": {ca.sign(t, "127.0.0.1", soon), newAuthority(t), "unknown authority"},
	} {
		url, _ := serveTLS(t, c.cert)
		api := client(t, url, trust(c.trust))
		out := recommend(api)
		if out.Class != fashionai.Unreachable || out.Sent || out.Code() != "unreachable" {
			t.Errorf("%s: got %+v, want unreachable, not sent", name, out)
		}
		if !errors.Is(out.Err, fashionai.ErrCertificate) || !strings.Contains(out.Err.Error(), c.says) {
			t.Errorf("%s: got error %v, want one of the certificate that says %q", name, out.Err, c.says)
		}
		if s := api.Stats(); s.CertificatesRefused != 1 || s.InUse != 0 {
			t.Errorf("%s: got %+v, want it counted, and no connection", name, s)
		}
	}
}

// A server that accepts and then says nothing does not hold up the handshake.
func TestSilentHandshake(t *testing.T) {
	url, _ := speak(t, func(conn net.Conn, _ *bufio.Reader) { io.Copy(io.Discard, conn) })
	c := client(t, strings.Replace(url, "http", "https", 1), func(o *fashionai.Options) { o.DialTimeout = 100 * time.Millisecond })
	if out := recommend(c); out.Class != fashionai.Unreachable || out.Sent || c.Stats().CertificatesRefused != 0 {
		t.Errorf("got %+v, want unreachable, not sent", out)
	}
}
