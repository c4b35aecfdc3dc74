package echo

import (
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/encoding"
	_ "google.golang.org/grpc/encoding/proto" // registers the codec that the health service uses
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
)

func newGRPC(identity Identity) *grpc.Server {
	server := grpc.NewServer(grpc.ForceServerCodecV2(rawCodec{}), grpc.UnknownServiceHandler(grpcEcho(identity)))
	healthpb.RegisterHealthServer(server, health.NewServer())
	return server
}

// grpcEcho sends every message of any method back, with the metadata that begins with x- repeated in the response's.
func grpcEcho(identity Identity) grpc.StreamHandler {
	return func(_ any, stream grpc.ServerStream) error {
		out := metadata.Pairs("x-echo-pod", identity.Pod, "x-echo-namespace", identity.Namespace)
		if method, ok := grpc.MethodFromServerStream(stream); ok {
			out.Set("x-echo-method", method)
		}
		in, _ := metadata.FromIncomingContext(stream.Context())
		for name, values := range in {
			if strings.HasPrefix(name, "x-") {
				out.Append(name, values...)
			}
		}
		_ = stream.SetHeader(out)
		for {
			var message frame
			if err := stream.RecvMsg(&message); errors.Is(err, io.EOF) {
				return nil
			} else if err != nil {
				return err
			}
			if err := stream.SendMsg(&message); err != nil {
				return err
			}
		}
	}
}

// frame is a message that is not looked into.
type frame []byte

// rawCodec passes frames as they are, and everything else to the ordinary codec.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) (mem.BufferSlice, error) {
	if message, ok := v.(*frame); ok {
		return mem.BufferSlice{mem.SliceBuffer(*message)}, nil
	}
	return encoding.GetCodecV2("proto").Marshal(v)
}

func (rawCodec) Unmarshal(data mem.BufferSlice, v any) error {
	if message, ok := v.(*frame); ok {
		*message = data.Materialize()
		return nil
	}
	return encoding.GetCodecV2("proto").Unmarshal(data, v)
}
