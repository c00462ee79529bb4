package spool

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"polyclam/proxy/client"
	"polyclam/test/testkit"
)

// upload returns a new upload of a client.
func upload(q *quota, k client.Key) *Object {
	o := &Object{}
	q.open(o, k)
	return o
}

// takeLater takes n bytes in a goroutine.
func takeLater(t *testing.T, q *quota, o *Object, n int64) <-chan error {
	errs := make(chan error, 1)
	go func() { errs <- q.take(t.Context(), o, n, time.Now().Add(hang)) }()
	return errs
}

func queued(t *testing.T, q *quota, n int) {
	t.Helper()
	testkit.Eventually(t, "uploads wait", func() bool { _, _, _, waiting := q.stats(); return waiting == n })
}

// served has the clients' uploads, all of the same size, wait for a full quota. Then it makes
// room for one of them at a time. It returns the order in which they are served.
func served(t *testing.T, share int, clients ...client.Key) (order []int) {
	t.Helper()
	const unit = 2 << 20 // none of them is small
	var q quota
	q.configure(Config{Total: 8 * unit, Share: share})
	full := upload(&q, client.Key{})
	if err := q.take(t.Context(), full, 7*unit+unit/2, time.Time{}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	for i, k := range clients {
		o := upload(&q, k)
		wg.Go(func() {
			defer q.close(o)
			if err := q.take(t.Context(), o, unit, time.Now().Add(hang)); err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			order = append(order, i)
		})
		queued(t, &q, i+1)
	}
	q.done(full) // the next one may have its turn, but there is no room
	if _, _, _, n := q.stats(); n != len(clients) {
		t.Errorf("%d waiting without room, want %d", n, len(clients))
	}
	q.free(full, unit)
	wg.Wait()
	q.close(full)
	if q.all != (usage{}) || users(&q) != 0 {
		t.Errorf("%+v and %d objects are left", q.all, users(&q))
	}
	return order
}

// TestQuotaOrder checks that the uploads of one client are served in the order in which they
// came, and that clients are served in turn.
func TestQuotaOrder(t *testing.T) {
	a, b, c := client.User(1), client.User(2), client.User(3)
	for _, tt := range []struct {
		name    string
		share   int
		clients []client.Key
		want    []int
	}{
		{"one client", 0, make([]client.Key, 6), []int{0, 1, 2, 3, 4, 5}},
		{"three clients", 75, []client.Key{a, a, a, b, c, b}, []int{0, 3, 4, 1, 5, 2}},
	} {
		if got := served(t, tt.share, tt.clients...); !slices.Equal(got, tt.want) {
			t.Errorf("%s: order %v, want %v", tt.name, got, tt.want)
		}
	}
}

// users is the number of objects in all accounts.
func users(q *quota) int {
	n := 0
	for _, a := range q.accounts {
		n += a.users
	}
	return n
}

// TestQuotaAccounts checks that few unused accounts are kept, however many clients come.
func TestQuotaAccounts(t *testing.T) {
	var q quota
	for i := range uint32(1000) {
		a, b := upload(&q, client.User(i)), upload(&q, client.User(i+1))
		q.close(a)
		q.close(b)
	}
	if n := len(q.accounts); n > idleAccounts {
		t.Errorf("%d accounts are left", n)
	}
}

// TestQuotaFirstGivesUp checks that a small upload is served when a large one before it gives
// up.
func TestQuotaFirstGivesUp(t *testing.T) {
	const m = 1 << 20
	var q quota
	q.configure(Config{Total: 64 * m})
	if err := q.take(t.Context(), upload(&q, client.Key{}), 55*m, time.Time{}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	much := make(chan error, 1)
	go func() { much <- q.take(ctx, upload(&q, client.Key{}), 28*m, time.Now().Add(hang)) }()
	queued(t, &q, 1)
	little := takeLater(t, &q, upload(&q, client.Key{}), 2*m)
	queued(t, &q, 2)
	cancel()
	checkIs(t, <-much, context.Canceled)
	if err := <-little; err != nil {
		t.Error("not woken:", err)
	}
	if used, _, _, _ := q.stats(); used != 57*m {
		t.Errorf("used %d, want 57 MiB", used)
	}
}
