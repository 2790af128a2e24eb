package main

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

const patience = 30 * time.Second

// One connection at a time, and what was measured on it. No http.Client, whose goroutines per connection would be a part
// of every latency.
type worker struct {
	address   string
	config    *tls.Config
	isFresh   bool
	conn      net.Conn
	reader    *bufio.Reader
	request   []byte
	latencies *hdrhistogram.Histogram
	shed      int64
	failed    int64
	failure   string
}

// A server that has more to do than it can may say so at once, and the API server goes by its failurePolicy.
var errShed = errors.New("HTTP 503")

func newWorker(address string, config *tls.Config, isFresh bool) *worker {
	return &worker{address: address, config: config, isFresh: isFresh, latencies: newHistogram()}
}

func (w *worker) dial() error {
	conn, err := tls.DialWithDialer(&net.Dialer{Timeout: patience}, "tcp", w.address, w.config)
	if err != nil {
		return err
	}
	w.conn, w.reader = conn, bufio.NewReaderSize(conn, 16*1024)
	return nil
}

func (w *worker) close() {
	if w.conn != nil {
		w.conn.Close()
		w.conn = nil
	}
}

func (w *worker) work(source *source) {
	for due := range source.paced {
		if due.at.IsZero() {
			due.at = time.Now()
		}
		if err := w.send(due); err != nil {
			if errors.Is(err, errShed) {
				w.shed++
			} else {
				w.failed++
				w.failure = err.Error()
			}
			if w.isFresh || !errors.Is(err, errShed) {
				w.close()
			}
			// A server that refuses everything is not hammered.
			time.Sleep(10 * time.Millisecond)
			continue
		}
		// What is more than the minute of the histogram would be an error of a connection long before.
		_ = w.latencies.RecordValue(max(1, time.Since(due.at).Microseconds()))
		if w.isFresh {
			w.close()
		}
	}
}

func (w *worker) send(due due) error {
	if w.conn == nil {
		if err := w.dial(); err != nil {
			return err
		}
	}
	uid := fmt.Sprintf("5d7a1b3c-0000-4000-8000-%012x", due.number)
	w.request = append(w.request[:0], due.review.request...)
	for _, at := range due.review.uidAt {
		copy(w.request[at:], uid)
	}
	if err := w.conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := w.conn.Write(w.request); err != nil {
		return err
	}
	response, err := http.ReadResponse(w.reader, nil)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.Close {
		w.close()
	}
	return check(response.StatusCode, body, uid)
}

func check(status int, body []byte, uid string) error {
	if status == http.StatusServiceUnavailable {
		return errShed
	}
	if status != http.StatusOK {
		return fmt.Errorf("HTTP %d: %.200s", status, body)
	}
	var review struct {
		Response struct {
			UID     string `json:"uid"`
			Allowed bool   `json:"allowed"`
		} `json:"response"`
	}
	if err := json.Unmarshal(body, &review); err != nil {
		return fmt.Errorf("%w: %.200s", err, body)
	}
	if review.Response.UID != uid || !review.Response.Allowed {
		return fmt.Errorf("no answer to %s that allows it: %.200s", uid, body)
	}
	return nil
}
