// Package clients runs the unmodified Azure SDK for Go against a certmint server.
//
// tests/clients/server.py starts the server and says in the environment where it is. The clients talk to vaults of
// their own by name, and check the authentication challenge as they do by default.
package clients

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azcertificates"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azkeys"
	"github.com/Azure/azure-sdk-for-go/sdk/security/keyvault/azsecrets"
)

var (
	ctx       = context.Background()
	port      string
	transport *http.Client
)

func TestMain(m *testing.M) {
	port = os.Getenv("CERTMINT_PORT")
	roots := x509.NewCertPool()
	pem, err := os.ReadFile(os.Getenv("CERTMINT_CA"))
	if port == "" || err != nil || !roots.AppendCertsFromPEM(pem) {
		fmt.Fprintln(os.Stderr, "no server: run this as python3 tests/clients/server.py go test -C tests/clients/go ./...")
		os.Exit(2)
	}
	// Names below localhost do not resolve on every system.
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	}
	transport = &http.Client{Transport: &http.Transport{
		DialContext:       dial,
		TLSClientConfig:   &tls.Config{RootCAs: roots},
		ForceAttemptHTTP2: true,
	}}
	os.Exit(m.Run())
}

// token is accepted by a development server, as every other one.
type token struct{}

func (token) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: "any", ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func options() azcore.ClientOptions {
	return azcore.ClientOptions{Transport: transport}
}

func address(vault string) string {
	return fmt.Sprintf("https://%s.localhost:%s", vault, port)
}

func certificates(t *testing.T, vault string) *azcertificates.Client {
	client, err := azcertificates.NewClient(address(vault), token{}, &azcertificates.ClientOptions{ClientOptions: options()})
	must(t, err)
	return client
}

func secrets(t *testing.T, vault string) *azsecrets.Client {
	client, err := azsecrets.NewClient(address(vault), token{}, &azsecrets.ClientOptions{ClientOptions: options()})
	must(t, err)
	return client
}

func keys(t *testing.T, vault string) *azkeys.Client {
	client, err := azkeys.NewClient(address(vault), token{}, &azkeys.ClientOptions{ClientOptions: options()})
	must(t, err)
	return client
}

func to[T any](value T) *T { return &value }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Fatalf("%s is %v, not %v", what, got, want)
	}
}

func check(t *testing.T, what string, holds bool) {
	t.Helper()
	if !holds {
		t.Fatalf("not so: %s", what)
	}
}

// refused is the error of a call that the server must not have done; its message and inner code are returned.
func refused(t *testing.T, err error, status int, code string) (message, inner string) {
	t.Helper()
	var answer *azcore.ResponseError
	if !errors.As(err, &answer) {
		t.Fatalf("no answer of the server: %v", err)
	}
	if answer.StatusCode != status || answer.ErrorCode != code {
		t.Fatalf("refused with %d %s, not %d %s: %v", answer.StatusCode, answer.ErrorCode, status, code, err)
	}
	var body struct {
		Error struct {
			Message    string
			InnerError struct{ Code string }
		}
	}
	text, err := io.ReadAll(answer.RawResponse.Body)
	must(t, err)
	must(t, json.Unmarshal(text, &body))
	return body.Error.Message, body.Error.InnerError.Code
}

// chosen is a policy for a P-256 key that may leave the vault.
func chosen(issuer, name string) *azcertificates.CertificatePolicy {
	return &azcertificates.CertificatePolicy{
		IssuerParameters: &azcertificates.IssuerParameters{Name: to(issuer)},
		KeyProperties: &azcertificates.KeyProperties{
			KeyType: to(azcertificates.KeyTypeEC), Curve: to(azcertificates.CurveNameP256), Exportable: to(true),
		},
		X509CertificateProperties: &azcertificates.X509CertificateProperties{Subject: to("CN=" + name + ".example")},
	}
}

// create begins an operation.
func create(t *testing.T, client *azcertificates.Client, name, issuer string) azcertificates.CertificateOperation {
	t.Helper()
	parameters := azcertificates.CreateCertificateParameters{CertificatePolicy: chosen(issuer, name)}
	begun, err := client.CreateCertificate(ctx, name, parameters, nil)
	must(t, err)
	return begun.CertificateOperation
}

// ended looks until the operation is no longer in progress: this SDK has no poller.
func ended(t *testing.T, client *azcertificates.Client, name string) azcertificates.CertificateOperation {
	t.Helper()
	for deadline := time.Now().Add(120 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		operation, err := client.GetCertificateOperation(ctx, name, nil)
		must(t, err)
		if *operation.Status != "inProgress" {
			return operation.CertificateOperation
		}
	}
	t.Fatalf("%s is still in progress", name)
	panic("unreachable")
}

// issue creates a certificate and waits for it.
func issue(t *testing.T, client *azcertificates.Client, name, issuer string) azcertificates.Certificate {
	t.Helper()
	create(t, client, name, issuer)
	equal(t, "the status", *ended(t, client, name).Status, "completed")
	got, err := client.GetCertificate(ctx, name, "", nil)
	must(t, err)
	return got.Certificate
}

// testIssuer makes an issuer object that does what its account says.
func testIssuer(t *testing.T, client *azcertificates.Client, name, account string) {
	t.Helper()
	_, err := client.SetIssuer(ctx, name, azcertificates.SetIssuerParameters{
		Provider: to("Test"), Credentials: &azcertificates.IssuerCredentials{AccountID: to(account)},
	}, nil)
	must(t, err)
}
