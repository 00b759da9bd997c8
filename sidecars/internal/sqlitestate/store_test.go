// The store as Dapr sees it, alone and under many writers.

package sqlitestate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/dapr/components-contrib/contenttype"
	"github.com/dapr/components-contrib/metadata"
	"github.com/dapr/components-contrib/state"
	"github.com/dapr/components-contrib/state/sqlite"
	"github.com/dapr/kit/logger"
)

// Both stores must behave alike: what a test here asks of ours it also asks of Dapr's own.
var factories = map[string]func(logger.Logger) state.Store{
	"ours":   New,
	"dapr's": sqlite.NewSQLiteStateStore,
}

func forBoth(t *testing.T, test func(t *testing.T, store state.Store)) {
	for name, factory := range factories {
		t.Run(name, func(t *testing.T) {
			test(t, open(t, factory, filepath.Join(t.TempDir(), "state.db")))
		})
	}
}

func open(t testing.TB, factory func(logger.Logger) state.Store, file string, more ...string) state.Store {
	t.Helper()
	properties := map[string]string{"connectionString": file, "tableName": "state", "metadataTableName": "metadata"}
	for i := 0; i+1 < len(more); i += 2 {
		properties[more[i]] = more[i+1]
	}
	log := logger.NewLogger("test")
	log.SetOutputLevel(logger.ErrorLevel)
	store := factory(log)
	if err := store.Init(t.Context(), state.Metadata{Base: metadata.Base{Properties: properties}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	return store
}

func set(key, value string) state.SetRequest {
	content := contenttype.JSONContentType
	return state.SetRequest{Key: key, Value: jsonText(value), ContentType: &content}
}

// jsonText is a value that is JSON already, as it comes from Dapr's HTTP API.
type jsonText string

// MarshalJSON implements json.Marshaler.
func (j jsonText) MarshalJSON() ([]byte, error) { return []byte(j), nil }

func guarded(key, value, etag string) state.SetRequest {
	request := set(key, value)
	request.ETag = &etag
	request.Options.Concurrency = state.FirstWrite
	return request
}

func create(key, value string) state.SetRequest {
	request := set(key, value)
	request.Options.Concurrency = state.FirstWrite
	return request
}

func get(t testing.TB, store state.Store, key string) (value, etag string) {
	t.Helper()
	response, err := store.Get(t.Context(), &state.GetRequest{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if response.ETag != nil {
		etag = *response.ETag
	}
	return string(response.Data), etag
}

func multi(ctx context.Context, store state.Store, operations ...state.TransactionalStateOperation) error {
	return store.(state.TransactionalStore).Multi(ctx, &state.TransactionalStateRequest{Operations: operations})
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mismatch(t testing.TB, err error) {
	t.Helper()
	var etagError *state.ETagError
	if !errors.As(err, &etagError) || etagError.Kind() != state.ETagMismatch {
		t.Fatalf("want an etag mismatch, got %v", err)
	}
}

func want(t testing.TB, store state.Store, key, value string) {
	t.Helper()
	if got, _ := get(t, store, key); got != value {
		t.Fatalf("%s: want %q, got %q", key, value, got)
	}
}

func TestSetGetDelete(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		first, second := set("k", `{"a":1}`), set("k", `"é"`)
		must(t, store.Set(t.Context(), &first))
		_, before := get(t, store, "k")
		must(t, store.Set(t.Context(), &second))
		value, after := get(t, store, "k")
		if value != `"é"` || before == after || after == "" {
			t.Fatalf("value %s, etags %q, %q", value, before, after)
		}
		must(t, store.Delete(t.Context(), &state.DeleteRequest{Key: "k"}))
		must(t, store.Delete(t.Context(), &state.DeleteRequest{Key: "k"}))
		want(t, store, "k", "")
	})
}

func TestBytesComeBackAsTheyWere(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		raw := []byte{0, 255, 128, 7}
		must(t, store.Set(t.Context(), &state.SetRequest{Key: "k", Value: raw}))
		want(t, store, "k", string(raw))
	})
}

func TestEtagGuardsSetAndDelete(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		plain := set("k", "1")
		must(t, store.Set(t.Context(), &plain))
		_, etag := get(t, store, "k")
		stale := "6b9dc2a9-0000-4000-8000-000000000000"

		wrong := guarded("k", "2", stale)
		mismatch(t, store.Set(t.Context(), &wrong))
		mismatch(t, store.Delete(t.Context(), &state.DeleteRequest{Key: "k", ETag: &stale}))
		absent := guarded("other", "2", stale)
		mismatch(t, store.Set(t.Context(), &absent))
		want(t, store, "k", "1")

		right := guarded("k", "3", etag)
		must(t, store.Set(t.Context(), &right))
		mismatch(t, store.Delete(t.Context(), &state.DeleteRequest{Key: "k", ETag: &etag}))
		_, etag = get(t, store, "k")
		must(t, store.Delete(t.Context(), &state.DeleteRequest{Key: "k", ETag: &etag}))
		want(t, store, "k", "")
	})
}

func TestFirstWriteWithoutEtagCreatesOnly(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		first, second := create("k", "1"), create("k", "2")
		must(t, store.Set(t.Context(), &first))
		mismatch(t, store.Set(t.Context(), &second))
		want(t, store, "k", "1")
	})
}

func TestFirstWriteTakesAnExpiredKey(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		short := create("k", "1")
		short.Metadata = map[string]string{"ttlInSeconds": "1"}
		must(t, store.Set(t.Context(), &short))
		waitAbsent(t, store, "k")
		second := create("k", "2")
		must(t, store.Set(t.Context(), &second))
		want(t, store, "k", "2")
	})
}

func TestWriteWithoutTTLNeverExpires(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		short := set("k", "1")
		short.Metadata = map[string]string{"ttlInSeconds": "60"}
		must(t, store.Set(t.Context(), &short))
		response, err := store.Get(t.Context(), &state.GetRequest{Key: "k"})
		must(t, err)
		if response.Metadata[state.GetRespMetaKeyTTLExpireTime] == "" {
			t.Fatal("no time of expiry")
		}
		again := set("k", "2")
		must(t, store.Set(t.Context(), &again))
		response, err = store.Get(t.Context(), &state.GetRequest{Key: "k"})
		must(t, err)
		if response.Metadata[state.GetRespMetaKeyTTLExpireTime] != "" {
			t.Fatalf("it still expires: %v", response.Metadata)
		}
	})
}

func TestBadRequestsAreRefused(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		noKey, badOption, badTTL := set("", "1"), set("k", "1"), set("k", "1")
		badOption.Options.Concurrency = "sometimes"
		badTTL.Metadata = map[string]string{"ttlInSeconds": "soon"}
		for _, request := range []state.SetRequest{noKey, badOption, badTTL} {
			if err := store.Set(t.Context(), &request); err == nil {
				t.Errorf("%+v was taken", request)
			}
			if err := multi(t.Context(), store, set("other", "1"), request); err == nil {
				t.Errorf("%+v was taken in a transaction", request)
			}
		}
		if err := store.Delete(t.Context(), &state.DeleteRequest{}); err == nil {
			t.Error("a delete without a key was taken")
		}
		want(t, store, "other", "")
	})
}

func TestTransactionIsAllOrNothing(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		must(t, multi(t.Context(), store, set("a", "1"), set("b", "1"), create("c", "1")))
		mismatch(t, multi(t.Context(), store,
			set("a", "2"), state.DeleteRequest{Key: "b"}, set("d", "2"), create("c", "2")))
		for key, value := range map[string]string{"a": "1", "b": "1", "c": "1", "d": ""} {
			want(t, store, key, value)
		}
		must(t, multi(t.Context(), store, state.DeleteRequest{Key: "b"}, set("b", "3"), state.DeleteRequest{Key: "a"}))
		want(t, store, "a", "")
		want(t, store, "b", "3")
		must(t, multi(t.Context(), store))
	})
}

func TestBulkWrites(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		var sets []state.SetRequest
		var deletes []state.DeleteRequest
		for i := range 200 {
			sets = append(sets, set("k"+strconv.Itoa(i), strconv.Itoa(i)))
			deletes = append(deletes, state.DeleteRequest{Key: "k" + strconv.Itoa(i)})
		}
		must(t, store.BulkSet(t.Context(), sets, state.BulkStoreOpts{Parallelism: 8}))
		want(t, store, "k199", "199")
		err := store.BulkSet(t.Context(), []state.SetRequest{create("k0", "1"), create("new", "1")}, state.BulkStoreOpts{})
		var failed state.BulkStoreError
		if !errors.As(err, &failed) || failed.Key() != "k0" {
			t.Fatalf("want k0 to be refused, got %v", err)
		}
		want(t, store, "new", "1")
		must(t, store.BulkDelete(t.Context(), deletes, state.BulkStoreOpts{Parallelism: 8}))
		got, err := store.BulkGet(t.Context(), []state.GetRequest{{Key: "k7"}, {Key: "new"}}, state.BulkGetOpts{})
		must(t, err)
		found := make(map[string]string)
		for _, item := range got {
			found[item.Key] = string(item.Data)
		}
		if found["k7"] != "" || found["new"] != "1" {
			t.Fatalf("bulk get: %v", found)
		}
	})
}

func TestBulkReads(t *testing.T) {
	forBoth(t, func(t *testing.T, store state.Store) {
		raw, expiring := []byte{0, 255, 7}, set("expiring", "1")
		expiring.Metadata = map[string]string{"ttlInSeconds": "1000"}
		must(t, store.Set(t.Context(), &state.SetRequest{Key: "raw", Value: raw}))
		must(t, store.Set(t.Context(), &expiring))
		requests := []state.GetRequest{{Key: "absent"}, {Key: "raw"}, {Key: "expiring"}}
		got, err := store.BulkGet(t.Context(), requests, state.BulkGetOpts{})
		must(t, err)
		if len(got) != len(requests) {
			t.Fatalf("%d answers", len(got))
		}
		for _, item := range got {
			single, err := store.Get(t.Context(), &state.GetRequest{Key: item.Key})
			must(t, err)
			if !bytes.Equal(item.Data, single.Data) || (item.ETag == nil) != (single.ETag == nil) || !maps.Equal(item.Metadata, single.Metadata) {
				t.Errorf("%s: in bulk %v, alone %v", item.Key, item, single)
			}
		}
	})
}

// TestConcurrentIncrements loses nothing, although each commit carries several attempts of which all but one
// for a key must be refused.
func TestConcurrentIncrements(t *testing.T) {
	const workers, rounds = 16, 25
	store := open(t, New, filepath.Join(t.TempDir(), "state.db"))
	zero := set("n", "0")
	must(t, store.Set(t.Context(), &zero))
	var group sync.WaitGroup
	for worker := range workers {
		group.Go(func() {
			for round := range rounds {
				mark := fmt.Sprintf("mark-%d-%d", worker, round)
				for {
					value, etag := get(t, store, "n")
					n, err := strconv.Atoi(value)
					if err != nil {
						t.Error(err)
						return
					}
					err = multi(t.Context(), store, set(mark, value), guarded("n", strconv.Itoa(n+1), etag), create("after-"+value, value))
					if err == nil {
						break
					}
					var conflict *state.ETagError
					if !errors.As(err, &conflict) {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	group.Wait()
	want(t, store, "n", strconv.Itoa(workers*rounds))
	for n := range workers * rounds {
		want(t, store, "after-"+strconv.Itoa(n), strconv.Itoa(n))
	}
}

// TestRefusedWriteSparesItsGroup puts writes into one commit, of which some are refused.
func TestRefusedWriteSparesItsGroup(t *testing.T) {
	store := open(t, New, filepath.Join(t.TempDir(), "state.db")).(*Store)
	taken := set("taken", "1")
	must(t, store.Set(t.Context(), &taken))
	one := func(operations ...state.SetRequest) *write {
		entry := &write{}
		for _, request := range operations {
			op, err := setOperation(&request)
			must(t, err)
			entry.operations = append(entry.operations, op)
		}
		return entry
	}
	results := store.writer.commit([]*write{
		one(set("a", "1"), set("b", "1")),
		one(set("a", "2"), create("taken", "2"), set("c", "2")),
		one(create("taken", "3")),
		one(create("b", "4")), // b is there since the first of this group
		one(set("d", "5")),
	})
	must(t, results[0])
	mismatch(t, results[1])
	mismatch(t, results[2])
	mismatch(t, results[3])
	must(t, results[4])
	for key, value := range map[string]string{"a": "1", "b": "1", "c": "", "d": "5", "taken": "1"} {
		want(t, store, key, value)
	}
}

// TestBrokenWriteSparesItsGroup has a write in the group that SQLite itself refuses.
func TestBrokenWriteSparesItsGroup(t *testing.T) {
	store := open(t, New, filepath.Join(t.TempDir(), "state.db")).(*Store)
	good, err := setOperation(ptr(set("good", "1")))
	must(t, err)
	bad, err := setOperation(ptr(set("bad", "1")))
	must(t, err)
	bad.arguments[1] = nil // the column takes no null
	results := store.writer.commit([]*write{
		{operations: []operation{good}}, {operations: []operation{good, bad}}, {operations: []operation{bad}},
	})
	must(t, results[0])
	if results[1] == nil || results[2] == nil {
		t.Fatalf("results: %v", results)
	}
	want(t, store, "good", "1")
	want(t, store, "bad", "")
}

// TestWritersAreServedInOrder holds the database with another connection, lets writers queue up, and looks at
// the order in which their rows came in.
func TestWritersAreServedInOrder(t *testing.T) {
	store := open(t, New, filepath.Join(t.TempDir(), "state.db"), "busyTimeout", "10s").(*Store)
	release := holdDatabase(t, store)
	const count = 100 // more than one group
	var line []*write
	for i := range count {
		line = append(line, enter(t, store, set(fmt.Sprintf("k%03d", i), "1")))
	}
	release()
	for _, entry := range line {
		must(t, store.writer.wait(t.Context(), entry))
	}
	rows, err := store.GetDBAccess().GetConnection().Query("SELECT key FROM state ORDER BY rowid")
	must(t, err)
	defer rows.Close()
	for i := range count {
		var key string
		if !rows.Next() {
			t.Fatal("rows are missing")
		}
		must(t, rows.Scan(&key))
		if want := fmt.Sprintf("k%03d", i); key != want {
			t.Fatalf("row %d is %s", i, key)
		}
	}
}

// TestCancelledWriteIsDoneOrNot cancels a write that stands in line and one that has been taken.
func TestCancelledWriteIsDoneOrNot(t *testing.T) {
	store := open(t, New, filepath.Join(t.TempDir(), "state.db"), "busyTimeout", "10s").(*Store)
	release := holdDatabase(t, store)
	first := enter(t, store, set("taken-a", "1"), set("taken-b", "1"))
	waitTaken(t, store, first)
	second := enter(t, store, set("queued-a", "1"), set("queued-b", "1"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.writer.wait(ctx, second); !errors.Is(err, context.Canceled) {
		t.Fatalf("queued: %v", err)
	}
	release()
	if err := store.writer.wait(ctx, first); err != nil {
		t.Fatalf("taken: %v", err)
	}
	last := set("last", "1")
	must(t, store.Set(t.Context(), &last))
	for key, value := range map[string]string{"taken-a": "1", "taken-b": "1", "queued-a": "", "queued-b": ""} {
		want(t, store, key, value)
	}
}

// TestCancelledReadsLeaveNothingBehind: a reader that goes away in the middle of a read must not leave its
// connection with an old view of the database, which whoever reads by it next would take for the present.
func TestCancelledReadsLeaveNothingBehind(t *testing.T) {
	const readers, rounds, keys = 8, 40, 16
	store := open(t, New, filepath.Join(t.TempDir(), "state.db"))
	requests := make([]state.GetRequest, keys)
	for i := range requests {
		requests[i].Key = "k" + strconv.Itoa(i)
	}
	for round := range rounds {
		value := strconv.Itoa(round)
		for i := range keys {
			request := set("k"+strconv.Itoa(i), value)
			must(t, store.Set(t.Context(), &request))
		}
		var group sync.WaitGroup
		for reader := range readers {
			group.Go(func() {
				for i := range 50 {
					// Reads take some 20 to 200 µs: these end before, in and after one.
					ctx, cancel := context.WithTimeout(t.Context(), time.Duration(10+(reader*50+i)%200)*time.Microsecond)
					_, _ = store.Get(ctx, &requests[i%keys])
					items, err := store.BulkGet(ctx, requests, state.BulkGetOpts{})
					cancel()
					for _, item := range items {
						if err == nil && item.Error == "" && string(item.Data) != value {
							t.Errorf("round %d: a bulk read gives %q for %s", round, item.Data, item.Key)
						}
					}
				}
			})
		}
		group.Wait()
		next := set("k0", `"next"`)
		must(t, store.Set(t.Context(), &next))
		// Side by side, so that every connection has its turn.
		for range readers {
			group.Go(func() {
				for range 20 {
					want(t, store, "k0", `"next"`)
				}
			})
		}
		group.Wait()
		if t.Failed() {
			return
		}
	}
}

// TestReadsDoNotWaitForWrites would hang if a read stood in line.
func TestReadsDoNotWaitForWrites(t *testing.T) {
	store := open(t, New, filepath.Join(t.TempDir(), "state.db"), "busyTimeout", "10s").(*Store)
	before := set("k", "1")
	must(t, store.Set(t.Context(), &before))
	release := holdDatabase(t, store)
	after := enter(t, store, set("k", "2"))
	waitTaken(t, store, after)
	want(t, store, "k", "1")
	release()
	must(t, store.writer.wait(t.Context(), after))
	want(t, store, "k", "2")
}

func TestCloseServesTheLine(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	store := open(t, New, file, "busyTimeout", "10s").(*Store)
	release := holdDatabase(t, store)
	const count = 100
	var line []*write
	for i := range count {
		line = append(line, enter(t, store, set("k"+strconv.Itoa(i), "1")))
	}
	closed := make(chan error, 1)
	go func() { closed <- store.Close() }()
	late := set("late", "1")
	waitUntil(t, func() bool {
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // until Close has begun, the write would stand in line
		return errors.Is(store.Set(ctx, &late), errClosed)
	})
	release()
	for _, entry := range line {
		must(t, store.writer.wait(t.Context(), entry))
	}
	must(t, <-closed)
	again := open(t, New, file)
	for i := range count {
		want(t, again, "k"+strconv.Itoa(i), "1")
	}
}

// TestEitherStoreReadsTheOther writes with one and goes on with the other on the same file.
func TestEitherStoreReadsTheOther(t *testing.T) {
	for writerName, write := range factories {
		for readerName, read := range factories {
			t.Run(writerName+" then "+readerName, func(t *testing.T) {
				file := filepath.Join(t.TempDir(), "state.db")
				first := open(t, write, file)
				must(t, multi(t.Context(), first, set("a", `{"x":[1,2]}`), create("b", "2")))
				must(t, first.Set(t.Context(), &state.SetRequest{Key: "raw", Value: []byte{1, 2, 255}}))
				expiring := set("ttl", "1")
				expiring.Metadata = map[string]string{"ttlInSeconds": "3600"}
				must(t, first.Set(t.Context(), &expiring))
				_, etag := get(t, first, "a")
				must(t, first.Close())

				second := open(t, read, file)
				want(t, second, "a", `{"x":[1,2]}`)
				want(t, second, "raw", string([]byte{1, 2, 255}))
				want(t, second, "ttl", "1")
				again, next := create("b", "3"), guarded("a", "4", etag)
				mismatch(t, second.Set(t.Context(), &again))
				must(t, second.Set(t.Context(), &next))
				want(t, second, "a", "4")
			})
		}
	}
}

// TestExpiredRowsAreRemoved lets the library's cleaner work beside the writer.
func TestExpiredRowsAreRemoved(t *testing.T) {
	store := open(t, New, filepath.Join(t.TempDir(), "state.db"), "cleanupInterval", "1s").(*Store)
	for i := range 20 {
		request := set("k"+strconv.Itoa(i), "1")
		request.Metadata = map[string]string{"ttlInSeconds": "1"}
		must(t, store.Set(t.Context(), &request))
	}
	keep := set("keep", "1")
	must(t, store.Set(t.Context(), &keep))
	waitUntil(t, func() bool {
		var count int
		must(t, store.GetDBAccess().GetConnection().QueryRow("SELECT COUNT(*) FROM state").Scan(&count))
		return count == 1
	})
	want(t, store, "keep", "1")
}

func TestDatabaseInMemory(t *testing.T) {
	store := open(t, New, ":memory:")
	request := set("k", "1")
	must(t, store.Set(t.Context(), &request))
	must(t, multi(t.Context(), store, set("a", "2"), state.DeleteRequest{Key: "k"}))
	want(t, store, "a", "2")
	want(t, store, "k", "")
}

func TestNamesOfTablesAreUsed(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state.db")
	store := open(t, New, file, "tableName", "notes")
	request := set("k", "1")
	must(t, store.Set(t.Context(), &request))
	want(t, store, "k", "1")
}

// holdDatabase takes SQLite's write lock with a connection of its own until it is released.
func holdDatabase(t *testing.T, store *Store) (release func()) {
	t.Helper()
	conn, err := store.GetDBAccess().GetConnection().Conn(t.Context())
	must(t, err)
	_, err = conn.ExecContext(t.Context(), "BEGIN IMMEDIATE")
	must(t, err)
	var once sync.Once
	release = func() {
		once.Do(func() {
			_, err := conn.ExecContext(context.Background(), "ROLLBACK")
			_ = conn.Close()
			if err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(release)
	return release
}

// enter puts a transaction in line without waiting for it.
func enter(t *testing.T, store *Store, requests ...state.SetRequest) *write {
	t.Helper()
	var operations []operation
	for _, request := range requests {
		op, err := setOperation(&request)
		must(t, err)
		operations = append(operations, op)
	}
	entry, err := store.writer.enter(operations)
	must(t, err)
	return entry
}

// waitTaken waits until the writer has taken an entry out of the line.
func waitTaken(t *testing.T, store *Store, entry *write) {
	t.Helper()
	waitUntil(t, func() bool {
		store.writer.mutex.Lock()
		defer store.writer.mutex.Unlock()
		return entry.taken
	})
}

func waitAbsent(t *testing.T, store state.Store, key string) {
	t.Helper()
	waitUntil(t, func() bool {
		value, _ := get(t, store, key)
		return value == ""
	})
}

func waitUntil(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.After(15 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatal("waited in vain")
		case <-tick.C:
		}
	}
}

func ptr[T any](value T) *T { return &value }
