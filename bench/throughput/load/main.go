// Sends admission reviews to one webhook as an API server does, and prints what came of it as JSON.
//
// Closed loop, the default: each connection sends the next review when it has the answer to the last, which measures how
// many a second the server answers at most. Open loop (--rate): reviews are due at a constant rate whether or not the
// server keeps up, and a latency counts from when its review was due, so a server that stalls cannot hide it by holding
// back the reviews that it would have answered late (coordinated omission).
package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// What was measured, of those that were answered. Latencies are in milliseconds.
type report struct {
	Reviews   int64     `json:"reviews"`
	Seconds   float64   `json:"seconds"`
	PerSecond float64   `json:"perSecond"`
	Latency   latencies `json:"latency"`
	Shed      int64     `json:"shed"`
	Failed    int64     `json:"failed"`
	Failures  []string  `json:"failures"`
}

type latencies struct {
	P50 float64 `json:"p50"`
	P90 float64 `json:"p90"`
	P99 float64 `json:"p99"`
	Max float64 `json:"max"`
}

func main() {
	target := flag.String("url", "", "the webhook, as the API server would call it")
	authority := flag.String("ca", "", "file of the certificate to trust")
	mix := flag.String("mix", "", "file of the reviews: a JSON list of {body, share}, sent in turn by their shares")
	connections := flag.Int("connections", 8, "how many connections are used at once")
	rate := flag.Float64("rate", 0, "reviews due in a second; 0 for as many as are answered")
	seconds := flag.Float64("seconds", 3, "for how long reviews are sent")
	isFresh := flag.Bool("new-connections", false, "open a connection for each review")
	flag.Parse()

	result, err := run(*target, *authority, *mix, options{
		connections: *connections,
		rate:        *rate,
		duration:    time.Duration(*seconds * float64(time.Second)),
		isFresh:     *isFresh,
	})
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(result)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}

type options struct {
	connections int
	rate        float64
	duration    time.Duration
	isFresh     bool
}

func run(target, authority, mix string, options options) (report, error) {
	address, err := url.Parse(target)
	if err != nil {
		return report{}, err
	}
	pem, err := os.ReadFile(authority)
	if err != nil {
		return report{}, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return report{}, fmt.Errorf("%s holds no certificate", authority)
	}
	reviews, err := readMix(mix, address)
	if err != nil {
		return report{}, err
	}
	// Without a session cache no handshake is shortened. As for the API server, HTTP/1.1 only.
	config := &tls.Config{
		RootCAs: roots, ServerName: address.Hostname(), MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
	}
	workers := make([]*worker, options.connections)
	for i := range workers {
		workers[i] = newWorker(address.Host, config, options.isFresh)
		defer workers[i].close()
		// Handshakes are not part of what is measured, unless they are the very thing.
		if !options.isFresh {
			if err := workers[i].dial(); err != nil {
				return report{}, err
			}
		}
	}

	source, err := newSource(reviews, options)
	if err != nil {
		return report{}, err
	}
	started := time.Now()
	var group sync.WaitGroup
	for _, worker := range workers {
		group.Go(func() { worker.work(source) })
	}
	group.Wait()
	return summarize(workers, time.Since(started)), nil
}

func summarize(workers []*worker, elapsed time.Duration) report {
	all := newHistogram()
	result := report{Seconds: elapsed.Seconds(), Failures: []string{}}
	for _, worker := range workers {
		all.Merge(worker.latencies)
		result.Shed += worker.shed
		result.Failed += worker.failed
		if worker.failure != "" {
			result.Failures = append(result.Failures, worker.failure)
		}
	}
	result.Reviews = all.TotalCount()
	result.PerSecond = float64(result.Reviews) / elapsed.Seconds()
	at := func(percentile float64) float64 { return float64(all.ValueAtPercentile(percentile)) / 1000 }
	result.Latency = latencies{P50: at(50), P90: at(90), P99: at(99), Max: float64(all.Max()) / 1000}
	return result
}

// In microseconds, to a minute, to three digits.
func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, 60_000_000, 3) }
