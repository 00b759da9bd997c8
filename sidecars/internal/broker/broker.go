// Package broker is the embedded Kafka-protocol broker of a local stack: kfake on a folder, with every
// acknowledged record synced to the disk, topics that exist before the first client connects, and a bound
// on what it keeps.
package broker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	setupTimeout = 30 * time.Second
	trimInterval = 10 * time.Minute

	// Segments are deleted whole, so they are small beside what a partition may keep.
	segmentBytes = 16 << 20

	// A consumer that was away for less than this goes on where it was. Kafka's week is shorter than a holiday.
	offsetsRetention = 90 * 24 * time.Hour
)

// Errors that the command prints as one line.
var (
	ErrNotLoopback = errors.New("the broker has no authentication and listens on a loopback address only")
	ErrInUse       = errors.New("another broker uses this data folder")
	ErrDamaged     = errors.New("the data folder is damaged")
	ErrFewer       = errors.New("a topic's partitions cannot be taken away")
)

// Topic is a topic that must exist.
type Topic struct {
	Name       string
	Partitions int
}

// Config says where a broker listens, what it keeps and for how long.
type Config struct {
	Listen  string // a loopback address with its port
	DataDir string
	Topics  []Topic

	// Retention bounds the age of records, RetentionBytes the size of each partition; the newest record of a
	// partition always stays.
	Retention      time.Duration
	RetentionBytes int64

	Log *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	config  Config
	cluster *kfake.Cluster
	client  *kgo.Client
	admin   *kadm.Client
	members *members
	address string
	lock    *os.File
}

// Open starts a broker on its folder and returns once every topic exists.
func Open(ctx context.Context, config Config) (_ *Broker, err error) {
	address, err := loopback(config.Listen)
	if err != nil {
		return nil, err
	}
	b := &Broker{config: config}
	defer func() {
		if err != nil {
			b.Close()
		}
	}()
	if b.lock, err = lockFolder(config.DataDir); err != nil {
		return nil, err
	}
	if err = checkFolder(config.DataDir); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	b.address = listener.Addr().String()
	b.cluster, err = kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return listener, nil }),
		kfake.ClusterID("docket"),
		kfake.DataDir(config.DataDir),
		kfake.SyncWrites(),
		kfake.WithLogger(kfakeLogger{config.Log}),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %w", ErrDamaged, err), listener.Close())
	}
	b.watch()
	// The client's cache of topics would hide from Trim what was made a moment ago.
	if b.client, err = kgo.NewClient(kgo.SeedBrokers(b.address), kgo.MetadataMinAge(10*time.Millisecond)); err != nil {
		return nil, err
	}
	b.admin = kadm.NewClient(b.client)

	setup, cancel := context.WithTimeout(ctx, setupTimeout)
	defer cancel()
	if err = b.configure(setup); err != nil {
		return nil, err
	}
	return b, b.ensureTopics(setup)
}

// Address is where the broker listens.
func (b *Broker) Address() string {
	return b.address
}

// Run trims old records and removes dead members of groups from time to time until ctx ends.
func (b *Broker) Run(ctx context.Context) {
	trim, expiry := time.NewTicker(trimInterval), time.NewTicker(expiryInterval)
	defer trim.Stop()
	defer expiry.Stop()
	b.trim(ctx)
	for {
		select {
		case <-ctx.Done():
			return
		case <-trim.C:
			b.trim(ctx)
		case <-expiry.C:
			if err := b.expire(ctx); err != nil && ctx.Err() == nil {
				b.config.Log.Warn("dead members of groups could not be removed", "error", err)
			}
		}
	}
}

func (b *Broker) trim(ctx context.Context) {
	if err := b.Trim(ctx, time.Now()); err != nil && ctx.Err() == nil {
		b.config.Log.Warn("old records could not be trimmed", "error", err)
	}
}

// Close writes the state down and stops the broker.
func (b *Broker) Close() {
	if b.client != nil {
		b.client.Close()
	}
	if b.cluster != nil {
		b.cluster.Close()
	}
	if b.lock != nil {
		_ = b.lock.Close() // the lock goes with the file
	}
}

// configure sets what is not a topic's own, over whatever an older run has stored.
func (b *Broker) configure(ctx context.Context) error {
	minutes := strconv.Itoa(int(offsetsRetention / time.Minute))
	responses, err := b.admin.AlterBrokerConfigs(ctx, []kadm.AlterConfig{
		{Op: kadm.SetConfig, Name: "offsets.retention.minutes", Value: &minutes},
	})
	if err != nil {
		return fmt.Errorf("broker configuration: %w", err)
	}
	for _, response := range responses {
		if response.Err != nil {
			return fmt.Errorf("broker configuration: %w", response.Err)
		}
	}
	return nil
}

// ensureTopics makes the topics that are missing and grows those that have too few partitions.
func (b *Broker) ensureTopics(ctx context.Context) error {
	existing, err := b.admin.ListTopics(ctx)
	if err != nil {
		return fmt.Errorf("listing topics: %w", err)
	}
	segment, never := strconv.Itoa(segmentBytes), "-1"
	for _, topic := range b.config.Topics {
		if !existing.Has(topic.Name) {
			// The broker's own retention stays off: see Trim.
			_, err := b.admin.CreateTopic(ctx, int32(topic.Partitions), 1, map[string]*string{
				"segment.bytes": &segment, "retention.ms": &never, "retention.bytes": &never,
			}, topic.Name)
			if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
				return fmt.Errorf("topic %s: %w", topic.Name, err)
			}
			b.config.Log.Info("topic made", "topic", topic.Name, "partitions", topic.Partitions)
			continue
		}
		have := len(existing[topic.Name].Partitions)
		switch {
		case have > topic.Partitions:
			return fmt.Errorf("topic %s: %w: it has %d, %d were asked for", topic.Name, ErrFewer, have, topic.Partitions)
		case have < topic.Partitions:
			responses, err := b.admin.UpdatePartitions(ctx, topic.Partitions, topic.Name)
			if err == nil {
				err = responses.Error()
			}
			if err != nil {
				return fmt.Errorf("topic %s: %w", topic.Name, err)
			}
			b.config.Log.Info("topic grown", "topic", topic.Name, "from", have, "to", topic.Partitions)
		}
	}
	return nil
}

// Trim deletes what is older than the retention or exceeds its bytes, but never a partition's newest record.
// The broker library's own retention may empty a partition, and an empty partition counts from offset zero
// again after a restart: a consumer group whose committed offset is ahead of it would then skip new records.
func (b *Broker) Trim(ctx context.Context, now time.Time) error {
	topics, err := b.admin.ListTopics(ctx)
	if err != nil {
		return err
	}
	if len(topics) == 0 {
		return nil
	}
	young, err := b.admin.ListOffsetsAfterMilli(ctx, now.Add(-b.config.Retention).UnixMilli(), topics.Names()...)
	if err != nil {
		return err
	}
	var failures []error
	for _, topic := range topics.Names() {
		for _, partition := range b.cluster.PartitionInfos(topic) {
			offset, ok := young.Lookup(topic, partition.Partition)
			if !ok || offset.Err != nil {
				failures = append(failures, fmt.Errorf("%s/%d: %w", topic, partition.Partition, offset.Err))
				continue
			}
			keepFrom := min(max(offset.Offset, b.sizeLimit(partition)), partition.HighWatermark-1)
			if keepFrom <= partition.LogStartOffset {
				continue
			}
			if err := b.cluster.DeleteRecords(topic, partition.Partition, keepFrom); err != nil {
				failures = append(failures, fmt.Errorf("%s/%d: %w", topic, partition.Partition, err))
				continue
			}
			b.config.Log.Info("old records trimmed", "topic", topic, "partition", partition.Partition,
				"records", keepFrom-partition.LogStartOffset)
		}
	}
	return errors.Join(failures...)
}

// sizeLimit estimates, by the mean record, the offset from which a partition is within its bytes. Repeated
// trims come as near as needed.
func (b *Broker) sizeLimit(partition *kfake.PartitionInfo) int64 {
	records := partition.HighWatermark - partition.LogStartOffset
	excess := partition.NumBytes - b.config.RetentionBytes
	if excess <= 0 || records <= 0 {
		return partition.LogStartOffset
	}
	return partition.LogStartOffset + int64(float64(excess)/float64(partition.NumBytes)*float64(records)) + 1
}

// loopback refuses every address that another machine could reach.
func loopback(listen string) (string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "", fmt.Errorf("listen address %q: %w", listen, err)
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
		return "", fmt.Errorf("listen address %q: %w", listen, ErrNotLoopback)
	}
	return net.JoinHostPort(host, port), nil
}

// lockFolder makes the folder and holds it against a second broker for as long as the file is open.
func lockFolder(folder string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrInUse, folder), file.Close())
	}
	return file, nil
}

// checkFolder refuses a folder that has topics but not the file that makes the library load them: it would
// take the folder for a new one and write over what is there.
func checkFolder(folder string) error {
	if _, err := os.Stat(filepath.Join(folder, "meta.json")); err == nil {
		return nil
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(filepath.Join(folder, "topics.json")); err == nil {
		return fmt.Errorf("%w: %s has topics.json but no meta.json", ErrDamaged, folder)
	}
	return nil
}

// kfakeLogger passes the library's messages on.
type kfakeLogger struct{ log *slog.Logger }

// Logf implements kfake.Logger.
func (l kfakeLogger) Logf(level kfake.LogLevel, format string, args ...any) {
	levels := map[kfake.LogLevel]slog.Level{
		kfake.LogLevelError: slog.LevelError,
		kfake.LogLevelWarn:  slog.LevelWarn,
	}
	// What the library calls information is one line for each request.
	severity, ok := levels[level]
	if !ok {
		severity = slog.LevelDebug
	}
	if l.log.Enabled(context.Background(), severity) {
		l.log.Log(context.Background(), severity, fmt.Sprintf(format, args...))
	}
}
