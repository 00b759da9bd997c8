// The broker in this process: topics, records, restarts.

package broker

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

func config(t *testing.T, topics ...Topic) Config {
	return Config{
		Listen:         "127.0.0.1:0",
		DataDir:        filepath.Join(t.TempDir(), "broker"),
		Topics:         topics,
		Retention:      24 * time.Hour,
		RetentionBytes: 1 << 20,
		Log:            slog.New(slog.DiscardHandler),
	}
}

func open(t *testing.T, config Config) *Broker {
	t.Helper()
	b, err := Open(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func (b *Broker) partitions(t *testing.T, topic string) int {
	t.Helper()
	topics, err := b.admin.ListTopics(t.Context(), topic)
	if err != nil {
		t.Fatal(err)
	}
	return len(topics[topic].Partitions)
}

// produce writes records and returns the offset of the last.
func produce(t *testing.T, b *Broker, topic string, count, size int) int64 {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.Address()), kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var last int64
	for i := range count {
		record := &kgo.Record{Key: []byte(strconv.Itoa(i)), Value: bytes.Repeat([]byte("v"), size)}
		produced, err := client.ProduceSync(t.Context(), record).First()
		if err != nil {
			t.Fatal(err)
		}
		last = produced.Offset
	}
	return last
}

func (b *Broker) offsets(t *testing.T, topic string) (start, end int64) {
	t.Helper()
	info := b.cluster.PartitionInfo(topic, 0)
	if info == nil {
		t.Fatalf("no partition of %s", topic)
	}
	return info.LogStartOffset, info.HighWatermark
}

func TestTopicsAreMadeKeptAndGrown(t *testing.T) {
	config := config(t, Topic{"events", 2})
	b := open(t, config)
	if got := b.partitions(t, "events"); got != 2 {
		t.Fatalf("made with %d partitions", got)
	}
	b.Close()

	config.Topics = []Topic{{"events", 5}, {"more", 1}}
	b = open(t, config)
	if b.partitions(t, "events") != 5 || b.partitions(t, "more") != 1 {
		t.Fatal("the topic was not grown, or the new one not made")
	}
	b.Close()

	config.Topics = nil
	b = open(t, config)
	if b.partitions(t, "events") != 5 {
		t.Fatal("the topic is gone")
	}
	b.Close()

	config.Topics = []Topic{{"events", 4}}
	if _, err := Open(t.Context(), config); !errors.Is(err, ErrFewer) {
		t.Fatalf("partitions were taken away: %v", err)
	}
}

func TestOnlyLoopbackAddresses(t *testing.T) {
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.168.1.1:0", "example.com:0", "127.0.0.1"} {
		config := config(t)
		config.Listen = listen
		if b, err := Open(t.Context(), config); err == nil {
			b.Close()
			t.Errorf("%q was taken", listen)
		}
	}
	for _, listen := range []string{"127.0.0.1:0", "localhost:0", "127.1.2.3:0"} {
		config := config(t)
		config.Listen = listen
		open(t, config)
	}
}

func TestFolderHasOneBroker(t *testing.T) {
	config := config(t)
	open(t, config)
	if _, err := Open(t.Context(), config); !errors.Is(err, ErrInUse) {
		t.Fatalf("a second broker: %v", err)
	}
}

func TestDamagedFolderIsRefused(t *testing.T) {
	damages := map[string]func(folder string) error{
		"topics.json is no JSON": func(folder string) error {
			return os.WriteFile(filepath.Join(folder, "topics.json"), []byte("{"), 0o600)
		},
		"meta.json is lost": func(folder string) error { return os.Remove(filepath.Join(folder, "meta.json")) },
	}
	for name, damage := range damages {
		t.Run(name, func(t *testing.T) {
			config := config(t, Topic{"events", 1})
			open(t, config).Close()
			if err := damage(config.DataDir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), config); !errors.Is(err, ErrDamaged) {
				t.Fatalf("opened: %v", err)
			}
		})
	}
}

func TestTrimByAgeKeepsTheNewestRecord(t *testing.T) {
	config := config(t, Topic{"events", 1})
	b := open(t, config)
	last := produce(t, b, "events", 10, 10)
	if err := b.Trim(t.Context(), time.Now()); err != nil {
		t.Fatal(err)
	}
	if start, _ := b.offsets(t, "events"); start != 0 {
		t.Fatalf("young records were trimmed up to %d", start)
	}
	if err := b.Trim(t.Context(), time.Now().Add(config.Retention+time.Minute)); err != nil {
		t.Fatal(err)
	}
	if start, end := b.offsets(t, "events"); start != last || end != last+1 {
		t.Fatalf("left: %d to %d", start, end)
	}

	// The offsets must go on where they were, or a consumer group would skip what comes next.
	b.Close()
	b = open(t, config)
	if next := produce(t, b, "events", 1, 10); next != last+1 {
		t.Fatalf("the next record after a restart has offset %d, the last before it %d", next, last)
	}
}

func TestTrimBySizeDeletesSegments(t *testing.T) {
	config := config(t, Topic{"events", 1})
	config.RetentionBytes = 8 << 20
	b := open(t, config)
	produce(t, b, "events", 80, 800<<10) // about four segments
	before := folderSize(t, config.DataDir)
	for range 3 {
		if err := b.Trim(t.Context(), time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	if info := b.cluster.PartitionInfo("events", 0); info.NumBytes > config.RetentionBytes {
		t.Fatalf("%d bytes are left", info.NumBytes)
	}
	after := folderSize(t, config.DataDir)
	if after > config.RetentionBytes+2*segmentBytes || after >= before {
		t.Fatalf("the folder had %d bytes and has %d", before, after)
	}
}

func TestCommittedOffsetsOutliveARestart(t *testing.T) {
	config := config(t, Topic{"events", 1})
	b := open(t, config)
	produce(t, b, "events", 5, 10)
	commit := kadm.Offsets{}
	commit.AddOffset("events", 0, 3, -1)
	if err := b.admin.CommitAllOffsets(t.Context(), "group", commit); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b = open(t, config)
	fetched, err := b.admin.FetchOffsets(t.Context(), "group")
	if err != nil {
		t.Fatal(err)
	}
	if offset, ok := fetched.Lookup("events", 0); !ok || offset.At != 3 {
		t.Fatalf("committed: %v", fetched)
	}
}

func TestRunEndsWithItsContext(t *testing.T) {
	b := open(t, config(t, Topic{"events", 1}))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.Run(ctx)
}

func folderSize(t *testing.T, folder string) (size int64) {
	t.Helper()
	err := filepath.WalkDir(folder, func(_ string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		info, err := entry.Info()
		size += info.Size()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
