// Package healthserver serves the health of Sentry and the scheduler. Dapr's own health server listens on
// every interface of the machine whatever its flags say; this one keeps to the address it is given.
package healthserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/dapr/dapr/pkg/healthz"
)

const shutdownTimeout = 5 * time.Second

// Run answers GET /healthz with 200 while every target of health is ready and with 503 otherwise, until ctx ends.
func Run(ctx context.Context, address string, port int, health healthz.Healthz) error {
	target := health.AddTarget("healthz-server")
	listener, err := net.Listen("tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("health server: %w", err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(response http.ResponseWriter, _ *http.Request) {
		if !health.IsReady() {
			response.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: shutdownTimeout}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	target.Ready()

	select {
	case err := <-served:
		return fmt.Errorf("health server: %w", err)
	case <-ctx.Done():
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	err = server.Shutdown(closing)
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
