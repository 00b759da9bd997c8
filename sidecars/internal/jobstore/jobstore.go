// Package jobstore is the scheduler's database: an etcd of one member, in this process.
//
// Dapr's scheduler can start such an etcd itself, but waits up to 20 seconds after a crash for the lease of
// the leader that it was before, and a second and more at each start for an election that only one can win.
// Nobody else can be a member of this one, so the old leader is forgotten and the election is short.
package jobstore

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"

	"github.com/dapr/dapr/cmd/scheduler/options"
	"github.com/dapr/dapr/pkg/security"
	"github.com/dapr/kit/logger"
)

const (
	// leadership is where the scheduler's library keeps who leads.
	leadership = "dapr/leadership/"

	tick           = 20 * time.Millisecond
	election       = 5 * tick
	startTimeout   = 30 * time.Second
	callTimeout    = 10 * time.Second
	defragInterval = 10 * time.Minute
	// A database that is more than half empty is made smaller.
	defragFactor = 2
)

var log = logger.NewLogger("docket.jobstore")

// Store is a running database.
type Store struct {
	etcd   *embed.Etcd
	client *clientv3.Client
}

// Open starts the database in the folder and on the addresses that Dapr's flags name.
func Open(ctx context.Context, opts *options.Options) (*Store, error) {
	settings, err := settings(opts)
	if err != nil {
		return nil, err
	}
	etcd, err := embed.StartEtcd(settings)
	if err != nil {
		return nil, fmt.Errorf("job store: %w", err)
	}
	store := &Store{etcd: etcd}
	select {
	case <-etcd.Server.ReadyNotify():
	case err = <-etcd.Err():
	case <-time.After(startTimeout):
		err = errors.New("it does not become ready")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err == nil {
		store.client, err = clientv3.New(clientv3.Config{Endpoints: []string{store.Address()}, Logger: etcd.GetLogger()})
	}
	if err == nil {
		err = store.forgetLeader(ctx)
	}
	if err != nil {
		store.Close()
		return nil, fmt.Errorf("job store: %w", err)
	}
	return store, nil
}

// Address is where clients reach the database.
func (s *Store) Address() string {
	return s.etcd.Config().ListenClientUrls[0].Host
}

// Run keeps the database small until ctx ends, and returns early if the database fails.
func (s *Store) Run(ctx context.Context) error {
	ticker := time.NewTicker(defragInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-s.etcd.Err():
			return fmt.Errorf("job store: %w", err)
		case <-ticker.C:
			if err := s.defragment(ctx); err != nil {
				log.Warnf("The job store could not be made smaller: %s", err)
			}
		}
	}
}

// Close ends the database; what was acknowledged is on the disk.
func (s *Store) Close() {
	if s.client != nil {
		_ = s.client.Close()
	}
	s.etcd.Close()
}

func (s *Store) forgetLeader(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	removed, err := s.client.Delete(ctx, leadership, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	if removed.Deleted > 0 {
		log.Infof("The last run did not end well: its leadership is taken over")
	}
	return nil
}

func (s *Store) defragment(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	status, err := s.client.Status(ctx, s.Address())
	if err != nil || status.DbSize < status.DbSizeInUse*defragFactor {
		return err
	}
	_, err = s.client.Defragment(ctx, s.Address())
	return err
}

// settings translates Dapr's flags as Dapr does, for one member on plain loopback connections.
func settings(opts *options.Options) (*embed.Config, error) {
	peer, err := peerURL(opts.ID, opts.EtcdInitialCluster)
	if err != nil {
		return nil, err
	}
	interval, err := time.ParseDuration(opts.EtcdBackendBatchInterval)
	if err != nil {
		return nil, fmt.Errorf("--etcd-backend-batch-interval: %w", err)
	}
	client := url.URL{
		Scheme: "http",
		Host:   opts.EtcdClientListenAddress + ":" + strconv.FormatUint(opts.EtcdClientPort, 10),
	}
	settings := embed.NewConfig()
	settings.Name = opts.ID
	settings.Dir = filepath.Join(opts.EtcdDataDir, security.CurrentNamespace()+"-"+opts.ID, "dapr-0.1")
	settings.InitialCluster = strings.Join(opts.EtcdInitialCluster, ",")
	settings.AdvertisePeerUrls, settings.ListenPeerUrls = []url.URL{peer}, []url.URL{peer}
	settings.AdvertiseClientUrls, settings.ListenClientUrls = []url.URL{client}, []url.URL{client}
	settings.LogLevel = "warn"
	settings.TickMs = uint(tick.Milliseconds())
	settings.ElectionMs = uint(election.Milliseconds())
	settings.MaxTxnOps = opts.EtcdMaxTxnOps
	settings.QuotaBackendBytes = opts.EtcdSpaceQuota
	settings.AutoCompactionMode = opts.EtcdCompactionMode
	settings.AutoCompactionRetention = opts.EtcdCompactionRetention
	settings.SnapshotCount = opts.EtcdSnapshotCount
	settings.MaxSnapFiles = opts.EtcdMaxSnapshots
	settings.MaxWalFiles = opts.EtcdMaxWALs
	settings.BackendBatchLimit = opts.EtcdBackendBatchLimit
	settings.BackendBatchInterval = interval
	settings.ExperimentalBootstrapDefragThresholdMegabytes = opts.EtcdDefragThresholdMB
	settings.Metrics = opts.EtcdMetrics
	return settings, nil
}

// peerURL finds the one member's own address in a list of NAME=URL.
func peerURL(id string, cluster []string) (url.URL, error) {
	if len(cluster) != 1 {
		return url.URL{}, errors.New("--etcd-initial-cluster has to name this member alone")
	}
	name, address, _ := strings.Cut(cluster[0], "=")
	parsed, err := url.Parse(address)
	if err != nil || name != id || parsed.Host == "" {
		return url.URL{}, fmt.Errorf("--etcd-initial-cluster has to be %s=http://ADDRESS:PORT", id)
	}
	return *parsed, nil
}
