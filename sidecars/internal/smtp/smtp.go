// Package smtp is Dapr's SMTP binding with a place of its own for each mail. Dapr's binding (components-contrib 1.18)
// writes the recipient, the subject and the rest of a request's metadata into what it was configured with: two mails at
// once can then change recipients, and what one request set stays for those that do not set it.
package smtp

import (
	"context"
	"fmt"

	"github.com/dapr/components-contrib/bindings"
	contrib "github.com/dapr/components-contrib/bindings/smtp"
	"github.com/dapr/kit/logger"
)

// Mailer is a bindings.OutputBinding, a drop-in for Dapr's bindings.smtp.
type Mailer struct {
	log  logger.Logger
	make func(logger.Logger) bindings.OutputBinding
	meta bindings.Metadata
}

// New returns a binding that Init configures.
func New(log logger.Logger) bindings.OutputBinding {
	return &Mailer{log: log, make: contrib.NewSMTP}
}

// Init checks the configuration, and keeps it for the mails.
func (m *Mailer) Init(ctx context.Context, meta bindings.Metadata) error {
	m.meta = meta
	return m.make(m.log).Init(ctx, meta)
}

// Operations lists what can be asked of it.
func (m *Mailer) Operations() []bindings.OperationKind {
	return m.make(m.log).Operations()
}

// Invoke sends a mail by a mailer that no other mail has anything to do with. It returns when ctx ends, though Dapr's
// mailer cannot be stopped: a server that hangs keeps its connection until it closes it, and no caller.
func (m *Mailer) Invoke(ctx context.Context, req *bindings.InvokeRequest) (*bindings.InvokeResponse, error) {
	mailer := m.make(m.log)
	if err := mailer.Init(ctx, m.meta); err != nil {
		return nil, err
	}
	type answer struct {
		response *bindings.InvokeResponse
		err      error
	}
	answers := make(chan answer, 1)
	go func() {
		response, err := mailer.Invoke(ctx, req)
		answers <- answer{response, err}
	}()
	select {
	case got := <-answers:
		return got.response, got.err
	case <-ctx.Done():
		return nil, fmt.Errorf("smtp: %w", ctx.Err())
	}
}

// Close has nothing to close: no mail outlives its Invoke but the one that hangs.
func (m *Mailer) Close() error {
	return nil
}
