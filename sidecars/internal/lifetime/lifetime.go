// Package lifetime ends the programs of this module in one way, whoever asks for it: a signal, or a
// supervisor that is gone.
package lifetime

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

// WatchStdinVariable names the environment variable that ties a program's life to its standard input.
// A supervisor that sets it to "1" and holds the writing end of a pipe leaves no orphan, however it dies:
// the kernel closes the pipe even after a kill -9.
const WatchStdinVariable = "DOCKET_WATCH_STDIN"

// ErrStdinClosed is the cause of the context's end when the supervisor closed standard input.
var ErrStdinClosed = errors.New("standard input was closed")

// Context returns a context that ends on SIGINT, SIGTERM or SIGHUP and, when WatchStdinVariable is "1",
// at the end of standard input. context.Cause tells which it was. A second signal ends the process at
// once, so that a shutdown that hangs can be broken off.
func Context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	go func() {
		select {
		case received := <-signals:
			cancel(fmt.Errorf("signal: %s", received))
		case <-ctx.Done():
		}
		signal.Stop(signals)
	}()
	// A supervisor that is gone reads no output any more. Without this the first line of the shutdown's log
	// would end the process in the midst of it; so the write just fails.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	if os.Getenv(WatchStdinVariable) == "1" {
		go func() {
			// A read error ends the watch like the end of the stream: either way nobody is there any more.
			_, _ = io.Copy(io.Discard, os.Stdin)
			cancel(ErrStdinClosed)
		}()
	}
	return ctx, func() { cancel(nil) }
}
