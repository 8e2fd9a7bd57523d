package compat

import (
	"context"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// connectUnary calls a procedure without side effects with GET. Connect itself decompresses the responses.
var connectUnary = client{
	name:   "connect, GET",
	module: "connectrpc.com/connect",
	start: func(e *env) use {
		const procedure = "/text.v1.TextService/Get"
		idempotent := connect.WithIdempotency(connect.IdempotencyNoSideEffects)
		e.serve(connect.NewUnaryHandler(procedure,
			func(context.Context, *connect.Request[emptypb.Empty]) (*connect.Response[wrapperspb.StringValue], error) {
				return connect.NewResponse(wrapperspb.String(e.get())), nil
			}, idempotent).ServeHTTP, nil, nil)
		c := connect.NewClient[emptypb.Empty, wrapperspb.StringValue](
			e.cache.Client(), e.url+procedure, connect.WithHTTPGet(), idempotent)
		return use{
			read: func(ctx context.Context) (string, error) {
				resp, err := c.CallUnary(ctx, connect.NewRequest(&emptypb.Empty{}))
				if err != nil {
					return "", err
				}
				return resp.Msg.Value, nil
			},
		}
	},
}
