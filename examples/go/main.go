// A client of certmint.
package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"log"
	"os"
	"os/signal"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	certmintv1 "certmint.example/gen/certmint/v1"
)

const usage = `A client of certmint.

    create NAME [ISSUER]   creates a certificate and prints each transition until the end
                           (issuer Self unless another is given; Unknown: somebody merges it by hand)
    show NAME              shows the newest version of a certificate
    watch [PREFIX]         prints each transition of certificates with this name prefix

Environment: CERTMINT_SERVER (localhost:8443), CERTMINT_CA (a file with the root to trust; else those of the system),
CERTMINT_TOKEN (dev).`

// deadline of a call that is no stream.
const deadline = 30 * time.Second

func main() {
	log.SetFlags(0)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	command, arguments := "", os.Args[1:]
	if len(arguments) > 0 {
		command, arguments = arguments[0], arguments[1:]
	}
	var err error
	switch {
	case command == "create" && (len(arguments) == 1 || len(arguments) == 2):
		err = create(ctx, arguments[0], append(arguments, "Self")[1])
	case command == "show" && len(arguments) == 1:
		err = show(ctx, arguments[0])
	case command == "watch" && len(arguments) <= 1:
		err = watch(ctx, append(arguments, "")[0])
	default:
		log.Fatal(usage)
	}
	if errors.Is(err, context.Canceled) {
		os.Exit(130)
	}
	if rich, ok := AsRichError(err); ok {
		err = rich
	}
	if err != nil {
		log.Fatal(err)
	}
}

// connect makes a connection of its own: a stream that is not read holds up other calls on the same one.
func connect() (*grpc.ClientConn, error) {
	var roots *x509.CertPool
	if file := os.Getenv("CERTMINT_CA"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		roots = x509.NewCertPool()
		if !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate", file)
		}
	}
	reconnect := backoff.DefaultConfig
	reconnect.MaxDelay = 5 * time.Second // two minutes otherwise
	return grpc.NewClient(
		strings.TrimPrefix(setting("CERTMINT_SERVER", "localhost:8443"), "https://"),
		grpc.WithTransportCredentials(credentials.NewTLS(&tls.Config{RootCAs: roots})),
		grpc.WithPerRPCCredentials(bearer(setting("CERTMINT_TOKEN", "dev"))),
		grpc.WithConnectParams(grpc.ConnectParams{Backoff: reconnect, MinConnectTimeout: 5 * time.Second}),
		// Notices a connection that died without a word.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: time.Minute}),
	)
}

// bearer is a token that goes with each call.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return true }

func create(ctx context.Context, name, issuer string) error {
	calls, err := connect()
	if err != nil {
		return err
	}
	defer calls.Close()
	client := certmintv1.NewCertificateServiceClient(calls)
	var id [16]byte // of our own, which makes the call safe to repeat
	if _, err := rand.Read(id[:]); err != nil {
		return err
	}
	short, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	created, err := client.CreateCertificate(short, &certmintv1.CreateCertificateRequest{
		CertificateName: name,
		RequestId:       hex.EncodeToString(id[:]),
		Policy: &certmintv1.CertificatePolicy{
			X509Properties: &certmintv1.X509Properties{
				Subject:                 "CN=" + name + ".example",
				SubjectAlternativeNames: &certmintv1.SubjectAlternativeNames{DnsNames: []string{name + ".example"}},
			},
			Issuer: &certmintv1.IssuerParameters{Name: issuer},
		},
	})
	if err != nil {
		return err
	}
	operation := created.Operation
	tell("CREATED", operation)

	streams, err := connect()
	if err != nil {
		return err
	}
	defer streams.Close()
	// From the token of the answer on, nothing is missed.
	request := &certmintv1.WatchPendingRequest{
		RequestId: operation.RequestId, ResumeToken: created.ResumeToken, UntilTerminal: true,
	}
	client = certmintv1.NewCertificateServiceClient(streams)
	for message, err := range WatchPending(ctx, client, request) {
		if err != nil {
			return err
		}
		if event := message.GetEvent(); event != nil {
			operation = event.Operation
			tell(word(event.Type), operation)
		}
	}
	if operation.Status != certmintv1.PendingStatus_PENDING_STATUS_COMPLETED {
		return fmt.Errorf("%s was not issued", name)
	}
	return nil
}

func show(ctx context.Context, name string) error {
	calls, err := connect()
	if err != nil {
		return err
	}
	defer calls.Close()
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	client := certmintv1.NewCertificateServiceClient(calls)
	got, err := client.GetCertificate(ctx, &certmintv1.GetCertificateRequest{CertificateName: name})
	if err != nil {
		return err
	}
	certificate, expires := got.Certificate, "not issued yet"
	if len(certificate.Cer) > 0 {
		expires = "expires " + certificate.Attributes.Expires.AsTime().Format(time.DateOnly)
	}
	fmt.Println(certificate.CertificateName, certificate.CertificateVersion, expires)
	return nil
}

func watch(ctx context.Context, prefix string) error {
	streams, err := connect()
	if err != nil {
		return err
	}
	defer streams.Close()
	client := certmintv1.NewCertificateServiceClient(streams)
	request := &certmintv1.WatchPendingRequest{
		CertificateNamePrefix: prefix, Snapshot: certmintv1.WatchSnapshot_WATCH_SNAPSHOT_ALL,
	}
	for message, err := range WatchPending(ctx, client, request) {
		if err != nil {
			return err
		}
		if event := message.GetEvent(); event != nil {
			tell(word(event.Type), event.Operation)
		} else if message.GetBookmark().GetReason() == certmintv1.BookmarkReason_BOOKMARK_REASON_CAUGHT_UP {
			log.Print("caught up: what follows is live")
		}
	}
	return nil
}

func tell(event string, operation *certmintv1.PendingOperation) {
	words := operation.StatusDetails
	if operation.Error != nil {
		words = operation.Error.Message
	}
	status := strings.TrimRight(word(operation.Status)+" "+words, " ")
	fmt.Printf("%s #%d %s %s\n", operation.CertificateName, operation.Revision, event, status)
}

// word is the name of an enum without its prefix; the number where a newer server sends one that is not known here.
func word(enum fmt.Stringer) string {
	return strings.TrimPrefix(strings.TrimPrefix(enum.String(), "PENDING_STATUS_"), "PENDING_EVENT_TYPE_")
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
