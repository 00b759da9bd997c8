// Package kafkainput is Dapr's Kafka input binding for messages that anybody may have keyed.
//
// The binding hands a message's key to the app as an HTTP header. Of a key of hundreds of kilobytes no HTTP server takes
// the header, so the message would come again for ever and hold up its partition; here such a key stays behind.
package kafkainput

import (
	"context"

	"github.com/dapr/components-contrib/bindings"
	kafkabinding "github.com/dapr/components-contrib/bindings/kafka"
	"github.com/dapr/kit/logger"
)

const (
	keyMetadata = "__key"
	// maxKey is how many bytes of a key, escaped if the component says so, are handed on.
	maxKey = 1024
)

// Binding is a bindings.InputBinding, a drop-in for the one of Dapr's bindings.kafka.
type Binding struct {
	bindings.InputBinding
}

// New returns a binding that Init connects.
func New(log logger.Logger) bindings.InputBinding {
	return &Binding{InputBinding: kafkabinding.NewKafka(log)}
}

// Read hands on messages until the context ends.
func (b *Binding) Read(ctx context.Context, handler bindings.Handler) error {
	return b.InputBinding.Read(ctx, func(ctx context.Context, message *bindings.ReadResponse) ([]byte, error) {
		if len(message.Metadata[keyMetadata]) > maxKey {
			delete(message.Metadata, keyMetadata)
		}
		return handler(ctx, message)
	})
}
