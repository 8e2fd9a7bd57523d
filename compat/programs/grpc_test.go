package programs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// TestGRPC calls a server of gRPC through the proxy, in HTTP/2 without TLS on both sides.
func TestGRPC(t *testing.T) {
	ended := make(chan error, 1) // receives what ends the call "wait" on the server
	server := startGRPC(t, func(stream grpc.ServerStream) error {
		md, _ := metadata.FromIncomingContext(stream.Context())
		stream.SetTrailer(metadata.Pairs("sum", strings.Join(md.Get("question"), "")))
		if err := stream.SendHeader(metadata.Pairs("begun", "yes")); err != nil {
			return err
		}
		for {
			in := new(wrapperspb.StringValue)
			switch err := stream.RecvMsg(in); {
			case errors.Is(err, io.EOF):
				return nil
			case err != nil:
				ended <- err
				return err
			case in.Value == "fail":
				return status.Error(codes.FailedPrecondition, "no: 100 %, \u00fc")
			}
			if err := stream.SendMsg(wrapperspb.String("echo " + in.Value)); err != nil {
				return err
			}
		}
	})
	conn, err := grpc.NewClient(strings.TrimPrefix(startProxyTo(t, server), "http://"), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(t.Context(), "question", "42"), programTimeout)
	defer cancel()

	t.Run("unary", func(t *testing.T) {
		var out wrapperspb.StringValue
		var header, trailer metadata.MD
		err := conn.Invoke(ctx, echo, wrapperspb.String("a"), &out, grpc.Header(&header), grpc.Trailer(&trailer))
		if got := fmt.Sprint(out.Value, header["begun"], trailer["sum"], err); got != "echo a[yes] [42] <nil>" {
			t.Errorf("got %s", got)
		}
		large := strings.Repeat("large ", 100_000)
		if err := conn.Invoke(ctx, echo, wrapperspb.String(large), &out); err != nil || out.Value != "echo "+large {
			t.Errorf("a large message: got %d bytes, %v; want %d", len(out.Value), err, len("echo "+large))
		}
	})
	t.Run("status", func(t *testing.T) {
		err := conn.Invoke(ctx, echo, wrapperspb.String("fail"), new(wrapperspb.StringValue))
		if want := status.Error(codes.FailedPrecondition, "no: 100 %, \u00fc"); !errors.Is(err, want) {
			t.Errorf("got %v, want %v", err, want)
		}
		err = conn.Invoke(ctx, "/test.Echo/Unknown", wrapperspb.String("a"), new(wrapperspb.StringValue))
		if got, want := status.Code(err), codes.Unimplemented; got != want {
			t.Errorf("an unknown method: got %v, want %v", got, want)
		}
	})
	t.Run("stream", func(t *testing.T) {
		stream, err := conn.NewStream(ctx, &echoStream, echo)
		if err != nil {
			t.Fatal(err)
		}
		// The header arrives before the first message is sent, and each message before the next is sent.
		if header, err := stream.Header(); err != nil || len(header["begun"]) != 1 {
			t.Errorf("got the header %v, %v", header, err)
		}
		for i := range 10 {
			in := fmt.Sprint("message ", i)
			if err := stream.SendMsg(wrapperspb.String(in)); err != nil {
				t.Fatal(err)
			}
			var out wrapperspb.StringValue
			if err := stream.RecvMsg(&out); err != nil || out.Value != "echo "+in {
				t.Fatalf("got %q, %v; want %q", out.Value, err, "echo "+in)
			}
		}
		if err := stream.CloseSend(); err != nil {
			t.Error(err)
		}
		if err := stream.RecvMsg(new(wrapperspb.StringValue)); !errors.Is(err, io.EOF) {
			t.Errorf("at the end: got %v, want %v", err, io.EOF)
		}
		if got := stream.Trailer()["sum"]; len(got) != 1 || got[0] != "42" {
			t.Errorf("got the trailer %q, want 42", got)
		}
	})
	t.Run("cancel", func(t *testing.T) {
		ctx, cancel := context.WithCancel(ctx)
		stream, err := conn.NewStream(ctx, &echoStream, echo)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Header(); err != nil {
			t.Fatal(err)
		}
		cancel()
		if got, want := status.Code(<-ended), codes.Canceled; got != want {
			t.Errorf("the server got %v, want %v", got, want)
		}
	})
}

// echo is the method of the server, and echoStream describes it.
const echo = "/test.Echo/Echo"

var echoStream = grpc.StreamDesc{StreamName: "Echo", ServerStreams: true, ClientStreams: true}

// startGRPC starts a server of gRPC with a method, and returns its URL.
func startGRPC(t *testing.T, method func(grpc.ServerStream) error) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	stream := echoStream
	stream.Handler = func(_ any, s grpc.ServerStream) error { return method(s) }
	server := grpc.NewServer()
	server.RegisterService(&grpc.ServiceDesc{ServiceName: "test.Echo", HandlerType: (*any)(nil), Streams: []grpc.StreamDesc{stream}}, nil)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "h2c://" + listener.Addr().String()
}
