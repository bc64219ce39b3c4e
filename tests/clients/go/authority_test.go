package clients

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// authority is a certificate authority for merges, made for one test.
type authority struct {
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	root := template("Test Root")
	root.IsCA, root.BasicConstraintsValid = true, true
	return authority{key, sign(t, root, root, key.Public(), key)}
}

// chain is the certificate for a request, and the root, in DER.
func (a authority) chain(t *testing.T, request []byte) [][]byte {
	t.Helper()
	csr, err := x509.ParseCertificateRequest(request)
	must(t, err)
	must(t, csr.CheckSignature())
	leaf := template("")
	leaf.RawSubject = csr.RawSubject
	return [][]byte{sign(t, leaf, a.certificate, csr.PublicKey, a.key).Raw, a.certificate.Raw}
}

// selfSigned is a certificate made elsewhere. Without key usage its key may do everything.
func selfSigned(t *testing.T, name string, key crypto.Signer) *x509.Certificate {
	t.Helper()
	own := template(name)
	return sign(t, own, own, key.Public(), key)
}

func template(name string) *x509.Certificate {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		panic(err)
	}
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-5 * time.Minute),
		NotAfter:     now.Add(30 * 24 * time.Hour),
	}
}

func sign(t *testing.T, leaf, parent *x509.Certificate, key crypto.PublicKey, by crypto.Signer) *x509.Certificate {
	t.Helper()
	der, err := x509.CreateCertificate(rand.Reader, leaf, parent, key, by)
	must(t, err)
	return parse(t, der)
}

func parse(t *testing.T, der []byte) *x509.Certificate {
	t.Helper()
	certificate, err := x509.ParseCertificate(der)
	must(t, err)
	return certificate
}

// sameKey compares public keys of any kind.
func sameKey(a, b crypto.PublicKey) bool {
	return a.(interface{ Equal(crypto.PublicKey) bool }).Equal(b)
}
