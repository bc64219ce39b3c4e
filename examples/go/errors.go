package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// RichError is what an error of certmint says: the details of its google.rpc.Status.
type RichError struct {
	Code    codes.Code
	Message string
	// Reason is a name of certmint.v1.ErrorReason; empty where the error was made on this side, as by a cut connection.
	Reason string
	// Violations tell which fields of the request are wrong, and why.
	Violations []*errdetails.BadRequest_FieldViolation
	Resource   *errdetails.ResourceInfo
	// RetryAfter is set where the server asks to wait.
	RetryAfter *time.Duration
}

// AsRichError decodes the error of a call; false where it is none.
func AsRichError(err error) (*RichError, bool) {
	var call interface{ GRPCStatus() *status.Status }
	if !errors.As(err, &call) {
		return nil, false
	}
	rich := &RichError{Code: call.GRPCStatus().Code(), Message: call.GRPCStatus().Message()}
	for _, detail := range call.GRPCStatus().Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			if detail.Domain == "certmint.v1" {
				rich.Reason = detail.Reason
			}
		case *errdetails.BadRequest:
			rich.Violations = detail.FieldViolations
		case *errdetails.ResourceInfo:
			rich.Resource = detail
		case *errdetails.RetryInfo:
			wait := detail.RetryDelay.AsDuration()
			rich.RetryAfter = &wait
		}
	}
	return rich, true
}

func (e *RichError) Error() string {
	lines := []string{strings.TrimRight(e.Code.String()+" "+e.Reason, " ") + ": " + e.Message}
	for _, violation := range e.Violations {
		lines = append(lines, fmt.Sprintf("  %s: %s", violation.Field, violation.Description))
	}
	if e.Resource != nil {
		lines = append(lines, fmt.Sprintf("  about: %s %s", e.Resource.ResourceType, e.Resource.ResourceName))
	}
	if e.RetryAfter != nil {
		lines = append(lines, fmt.Sprintf("  retry after: %s", *e.RetryAfter))
	}
	return strings.Join(lines, "\n")
}
