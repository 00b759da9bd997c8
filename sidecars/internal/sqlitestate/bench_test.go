// How fast many writers are.

package sqlitestate

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dapr/components-contrib/state"
	"github.com/dapr/components-contrib/state/sqlite"
	"github.com/dapr/kit/logger"
)

// oneAtATime is the cheapest remedy against SQLite's polling: Dapr's store behind a mutex.
type oneAtATime struct {
	*sqlite.SQLiteStore
	mutex sync.Mutex
}

// Multi implements state.TransactionalStore.
func (o *oneAtATime) Multi(ctx context.Context, req *state.TransactionalStateRequest) error {
	o.mutex.Lock()
	defer o.mutex.Unlock()
	return o.SQLiteStore.Multi(ctx, req)
}

// BenchmarkTransactions compares Dapr's store, the same behind a mutex, and ours: transactions of three keys,
// from 1 and from 16 writers.
func BenchmarkTransactions(b *testing.B) {
	factories := maps.Clone(factories)
	factories["mutex"] = func(log logger.Logger) state.Store {
		return &oneAtATime{SQLiteStore: sqlite.NewSQLiteStateStore(log).(*sqlite.SQLiteStore)}
	}
	for _, name := range []string{"dapr's", "mutex", "ours"} {
		for _, writers := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/%d", name, writers), func(b *testing.B) {
				store := open(b, factories[name], filepath.Join(b.TempDir(), "state.db"), "busyTimeout", "20s")
				value := `"` + strings.Repeat("v", 500) + `"`
				var (
					next  atomic.Int64
					group sync.WaitGroup
				)
				times := make([]time.Duration, b.N)
				b.ResetTimer()
				for range writers {
					group.Go(func() {
						for {
							i := next.Add(1) - 1
							if i >= int64(b.N) {
								return
							}
							key := fmt.Sprintf("k%d-", i%1000)
							began := time.Now()
							if err := multi(context.Background(), store, set(key+"a", value), set(key+"b", value), set(key+"c", value)); err != nil {
								b.Error(err)
							}
							times[i] = time.Since(began)
						}
					})
				}
				group.Wait()
				b.StopTimer()
				slices.Sort(times)
				at := func(share float64) float64 {
					return float64(times[int(share*float64(len(times)-1))].Microseconds()) / 1000
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
				b.ReportMetric(at(0.5), "p50-ms")
				b.ReportMetric(at(0.99), "p99-ms")
				b.ReportMetric(at(1), "max-ms")
			})
		}
	}
}
