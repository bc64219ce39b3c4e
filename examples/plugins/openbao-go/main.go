// A plug-in of certmint for the PKI secrets engine of OpenBao and Vault: orders go to sign/ROLE.
//
//	certmint-openbao unix:/run/certmint/openbao.sock
//	certmint-openbao HOST:PORT CA.pem CHAIN.pem KEY.pem     (TLS; callers need a certificate of CA.pem)
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"

	pb "certmint.example/openbao/gen/certmint/issuer/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

type plugin struct {
	pb.UnimplementedIssuerPluginServiceServer
}

func (plugin) Describe(context.Context, *pb.DescribeRequest) (*pb.DescribeResponse, error) {
	option := func(name string, kind pb.OptionKind, required bool, value, description string) *pb.Option {
		return &pb.Option{Name: name, Kind: kind, Required: required, DefaultValue: value, Description: description}
	}
	return &pb.DescribeResponse{
		ProtocolVersions: &pb.VersionRange{Minimum: 1, Maximum: 1},
		Summary:          "The PKI secrets engine of OpenBao or Vault.",
		PluginVersion:    "1",
		Options: []*pb.Option{
			option("url", pb.OptionKind_OPTION_KIND_URL, true, "", "The address of OpenBao, without a path."),
			option("role", pb.OptionKind_OPTION_KIND_TEXT, true, "", "The role to sign with."),
			option("mount", pb.OptionKind_OPTION_KIND_TEXT, false, "pki", "Where the engine is mounted."),
			option("token", pb.OptionKind_OPTION_KIND_SECRET, true, "", "A token that may sign with the role."),
			option("ca_file", pb.OptionKind_OPTION_KIND_FILE, false, "", "CAs of an https address, PEM."),
		},
		// The engine signs a request again, without asking whether it has seen it.
		SubmitSemantics: pb.SubmitSemantics_SUBMIT_SEMANTICS_AT_LEAST_ONCE,
	}, nil
}

func (plugin) ValidateIssuer(ctx context.Context, request *pb.ValidateIssuerRequest) (*pb.ValidateIssuerResponse, error) {
	bao, problem := newBao(request.GetIssuer())
	if problem != nil {
		return &pb.ValidateIssuerResponse{Problems: []*pb.FieldProblem{problem}}, nil
	}
	if !request.GetAskCa() {
		return &pb.ValidateIssuerResponse{}, nil
	}
	var token struct {
		Data struct {
			DisplayName string `json:"display_name"`
		}
	}
	if err := bao.call(ctx, "GET", "auth/token/lookup-self", nil, &token); err != nil {
		return nil, statusOf(err)
	}
	return &pb.ValidateIssuerResponse{Message: fmt.Sprintf("OpenBao knows the token %q.", token.Data.DisplayName)}, nil
}

func (plugin) Advance(ctx context.Context, request *pb.AdvanceRequest) (*pb.AdvanceResponse, error) {
	if len(request.GetCheckpoint()) > 0 {
		// The engine decides at once, so no answer of this plug-in has one.
		return nil, status.Error(codes.InvalidArgument, "The checkpoint is not of this plug-in.")
	}
	bao, problem := newBao(request.GetIssuer())
	if problem != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "%s: %s", problem.Field, problem.Problem)
	}
	chain, err := bao.sign(ctx, request.GetOrder())
	if refusal, ok := err.(*refusal); ok && refusal.status == 400 {
		failed := &pb.Failed{
			Class:   pb.FailureClass_FAILURE_CLASS_REQUEST_REJECTED,
			Message: "OpenBao refused the request: " + refusal.Error(),
		}
		return &pb.AdvanceResponse{Progress: &pb.Progress{Outcome: &pb.Progress_Failed{Failed: failed}}}, nil
	}
	if err != nil {
		return nil, statusOf(err)
	}
	issued := &pb.Progress_Issued{Issued: &pb.Issued{ChainDer: chain}}
	return &pb.AdvanceResponse{Progress: &pb.Progress{Outcome: issued}}, nil
}

// Cancel grants every cancellation: an order is never open at the engine.
func (plugin) Cancel(context.Context, *pb.CancelRequest) (*pb.CancelResponse, error) {
	cancelled := &pb.Progress_Cancelled{Cancelled: &pb.Cancelled{}}
	return &pb.CancelResponse{Progress: &pb.Progress{Outcome: cancelled}}, nil
}

func (plugin) Revoke(ctx context.Context, request *pb.RevokeRequest) (*pb.RevokeResponse, error) {
	bao, problem := newBao(request.GetIssuer())
	if problem != nil {
		return nil, status.Errorf(codes.FailedPrecondition, "%s: %s", problem.Field, problem.Problem)
	}
	certificate, err := x509.ParseCertificate(request.GetCertificateDer())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, "The certificate cannot be read.")
	}
	if err := bao.revoke(ctx, certificate.SerialNumber.Bytes()); err != nil {
		return nil, statusOf(err)
	}
	return &pb.RevokeResponse{}, nil
}

// statusOf says what is to be done: the order goes on whatever it is.
func statusOf(err error) error {
	refusal, ok := err.(*refusal)
	switch {
	case ok && refusal.status == 403:
		return status.Error(codes.PermissionDenied, "OpenBao says: "+refusal.Error())
	case ok && refusal.status == 404:
		return status.Error(codes.FailedPrecondition, "OpenBao knows no such mount or role: "+refusal.Error())
	case ok && refusal.status == 429:
		return status.Error(codes.ResourceExhausted, "OpenBao says: "+refusal.Error())
	case ok && refusal.status == 400:
		return status.Error(codes.FailedPrecondition, "OpenBao says: "+refusal.Error())
	}
	// Sealed, in standby, or not there.
	return status.Error(codes.Unavailable, "OpenBao cannot be asked: "+err.Error())
}

func main() {
	if len(os.Args) != 2 && len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: certmint-openbao unix:/PATH | HOST:PORT CA.pem CHAIN.pem KEY.pem")
		os.Exit(2)
	}
	if err := serve(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(address string, files []string) error {
	network, secured := "tcp", []grpc.ServerOption{}
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
		syscall.Umask(0o007) // of the socket: its owner and group
		_ = os.Remove(path)  // of a run that was killed
	}
	if (network == "tcp") != (len(files) == 3) {
		return fmt.Errorf("a socket has no files, and HOST:PORT needs CA.pem, CHAIN.pem and KEY.pem")
	}
	if network == "tcp" {
		roots, callers := x509.NewCertPool(), tls.RequireAndVerifyClientCert
		ca, err := os.ReadFile(files[0])
		if err != nil || !roots.AppendCertsFromPEM(ca) {
			return fmt.Errorf("%s holds no certificates: %v", files[0], err)
		}
		pair, err := tls.LoadX509KeyPair(files[1], files[2])
		if err != nil {
			return err
		}
		config := &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: callers}
		secured = append(secured, grpc.Creds(credentials.NewTLS(config)))
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		return err
	}
	server, healthy := grpc.NewServer(secured...), health.NewServer()
	pb.RegisterIssuerPluginServiceServer(server, plugin{})
	grpc_health_v1.RegisterHealthServer(server, healthy)
	healthy.SetServingStatus(pb.IssuerPluginService_ServiceDesc.ServiceName, grpc_health_v1.HealthCheckResponse_SERVING)
	ended, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ended, server.GracefulStop)
	fmt.Println("listening on", listener.Addr())
	return server.Serve(listener)
}
