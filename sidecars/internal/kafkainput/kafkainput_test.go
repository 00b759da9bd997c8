// Tests of which keys are handed on.

package kafkainput

import (
	"context"
	"strings"
	"testing"

	"github.com/dapr/components-contrib/bindings"
)

// messages is an input binding that has these keys to read.
type messages struct {
	bindings.InputBinding
	keys []string
}

func (m messages) Read(ctx context.Context, handler bindings.Handler) error {
	for _, key := range m.keys {
		message := &bindings.ReadResponse{Metadata: map[string]string{keyMetadata: key, "__offset": "7"}}
		if _, err := handler(ctx, message); err != nil {
			return err
		}
	}
	return nil
}

func TestOnlyALargeKeyStaysBehind(t *testing.T) {
	largest := strings.Repeat("k", maxKey)
	binding := &Binding{InputBinding: messages{keys: []string{"ann", "", largest, largest + "k"}}}
	var seen []string
	err := binding.Read(context.Background(), func(_ context.Context, message *bindings.ReadResponse) ([]byte, error) {
		key, there := message.Metadata[keyMetadata]
		if !there {
			key = "none"
		}
		if message.Metadata["__offset"] != "7" {
			t.Errorf("the other metadata is gone: %v", message.Metadata)
		}
		seen = append(seen, key)
		return nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"ann", "", largest, "none"}; strings.Join(seen, ",") != strings.Join(want, ",") {
		t.Errorf("keys %q, want %q", seen, want)
	}
}
