// Jobs outlive the scheduler, and are kept and handed out as they were given.

package jobstore

import (
	"context"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/dapr/dapr/cmd/scheduler/options"
)

func flags(t *testing.T, folder string) *options.Options {
	t.Helper()
	ports := make([]int, 2)
	for i := range ports {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		ports[i] = listener.Addr().(*net.TCPAddr).Port
	}
	opts, err := options.New([]string{
		"--etcd-data-dir", folder, "--etcd-client-listen-address", "127.0.0.1",
		"--etcd-client-port", fmt.Sprint(ports[0]),
		"--etcd-initial-cluster", fmt.Sprintf("dapr-scheduler-server-0=http://127.0.0.1:%d", ports[1]),
	})
	if err != nil {
		t.Fatal(err)
	}
	return opts
}

func open(t *testing.T, opts *options.Options) *Store {
	t.Helper()
	store, err := Open(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestARestartKeepsJobsAndForgetsTheLeader(t *testing.T) {
	folder := t.TempDir()
	store := open(t, flags(t, folder))
	for _, key := range []string{"dapr/jobs/app||default||tasks||r1", leadership + "dapr-scheduler-server-0"} {
		if _, err := store.client.Put(t.Context(), key, "kept"); err != nil {
			t.Fatal(err)
		}
	}
	store.Close()

	// Other ports, as of a stack that is started with another base.
	began := time.Now()
	store = open(t, flags(t, folder))
	defer store.Close()
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the restart took %s", took)
	}
	found, err := store.client.Get(t.Context(), "dapr/jobs/app||default||tasks||r1")
	if err != nil || len(found.Kvs) != 1 || string(found.Kvs[0].Value) != "kept" {
		t.Fatalf("the job is lost: %v %v", found, err)
	}
	found, err = store.client.Get(t.Context(), leadership+"dapr-scheduler-server-0")
	if err != nil || len(found.Kvs) != 0 {
		t.Fatalf("the leader of the last run is still there: %v %v", found, err)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	store := open(t, flags(t, t.TempDir()))
	defer store.Close()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- store.Run(ctx) }()
	cancel()
	if err := <-ended; err != context.Canceled {
		t.Fatalf("Run returned %v", err)
	}
	if err := store.defragment(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestOnlyOneMemberIsTaken(t *testing.T) {
	for _, cluster := range [][]string{nil, {"a=http://127.0.0.1:1", "b=http://127.0.0.1:2"}, {"other=http://127.0.0.1:1"}, {"me"}, {"me=:"}} {
		if _, err := peerURL("me", cluster); err == nil {
			t.Errorf("%v was taken", cluster)
		}
	}
	if peer, err := peerURL("me", []string{"me=http://127.0.0.1:1"}); err != nil || peer.Host != "127.0.0.1:1" {
		t.Errorf("%v %v", peer, err)
	}
}
