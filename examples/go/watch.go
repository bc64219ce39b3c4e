package main

import (
	"context"
	"errors"
	"io"
	"iter"
	"log"
	"math/rand/v2"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	certmintv1 "certmint.example/gen/certmint/v1"
)

// WatchPending yields events and bookmarks, and goes on over broken connections and restarts of the server. It tells
// nothing twice, and ends only where the request has until_terminal, or with an error that waiting does not cure.
//
// To go on after a restart of this program, store the resume_token of each message once it is processed, and begin with
// the last one in the request. In a snapshot it is empty: half a snapshot cannot be resumed.
func WatchPending(
	ctx context.Context, client certmintv1.CertificateServiceClient, request *certmintv1.WatchPendingRequest,
) iter.Seq2[*certmintv1.WatchPendingResponse, error] {
	return func(yield func(*certmintv1.WatchPendingResponse, error) bool) {
		w := watcher{client, proto.CloneOf(request), make(map[string]int64), 0}
		for {
			err := w.stream(ctx, yield)
			if err == nil {
				return
			}
			if err = w.recover(ctx, err); err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

type watcher struct {
	client   certmintv1.CertificateServiceClient
	request  *certmintv1.WatchPendingRequest
	seen     map[string]int64
	failures int
}

// stream follows one stream to its end, or until the caller has had enough.
func (w *watcher) stream(ctx context.Context, yield func(*certmintv1.WatchPendingResponse, error) bool) error {
	ctx, cancel := context.WithCancel(ctx) // without a deadline: it lasts
	defer cancel()
	stream, err := w.client.WatchPending(ctx, w.request)
	if err != nil {
		return err
	}
	for {
		message, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		w.failures = 0
		if !w.isRepeat(message.GetEvent()) && !yield(message, nil) {
			return nil
		}
		if message.ResumeToken != "" {
			w.request.ResumeToken = message.ResumeToken
		}
	}
}

// recover waits, or forgets the token, where the watch can go on after an error; else it returns the error.
func (w *watcher) recover(ctx context.Context, err error) error {
	rich, ok := AsRichError(err)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case !ok:
		return err
	case rich.Reason == "RESUME_TOKEN_EXPIRED":
		log.Print("the resume token has expired: starting again from a snapshot")
		w.request.ResumeToken = ""
		clear(w.seen)
		return nil
	case isInterruption(rich.Code):
		w.failures++
		wait := w.backoff(rich)
		log.Printf("watch interrupted (%s): resuming in %.1f s", nameOf(rich), wait.Seconds())
		select {
		case <-time.After(wait):
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// isRepeat: a revision that is not above the last one of the same operation was told before.
func (w *watcher) isRepeat(event *certmintv1.PendingEvent) bool {
	operation := event.GetOperation()
	switch {
	case event == nil:
		return false
	case event.Type == certmintv1.PendingEventType_PENDING_EVENT_TYPE_DELETED,
		event.Type == certmintv1.PendingEventType_PENDING_EVENT_TYPE_OVERWRITTEN:
		delete(w.seen, operation.RequestId)
		return false
	case operation.Revision <= w.seen[operation.RequestId]:
		return true
	}
	w.seen[operation.RequestId] = operation.Revision
	return false
}

// backoff is what the server asks for, else 0.1 s to 5 s, with jitter.
func (w *watcher) backoff(rich *RichError) time.Duration {
	if rich.RetryAfter != nil {
		return *rich.RetryAfter
	}
	shortest := 100 * time.Millisecond
	longest := min(5*time.Second, shortest<<min(w.failures, 10))
	return shortest + rand.N(longest-shortest)
}

// isInterruption: the server went away, or the connection was cut, for which libraries and proxies have several codes.
func isInterruption(code codes.Code) bool {
	return code == codes.Unavailable || code == codes.Unknown || code == codes.Internal || code == codes.Canceled
}

func nameOf(rich *RichError) string {
	if rich.Reason != "" {
		return rich.Reason
	}
	return rich.Code.String()
}
