package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// A review to be sent, and since when it has been due.
type due struct {
	review review
	number int64
	at     time.Time
}

// Where workers get reviews; it ends when the time is over.
type source struct {
	reviews  []review
	next     int64
	deadline time.Time
	// Open loop only.
	paced chan due
}

func newSource(reviews []review, options options) (*source, error) {
	s := &source{reviews: reviews, deadline: time.Now().Add(options.duration), paced: make(chan due)}
	if options.rate == 0 {
		go s.closedLoop()
		return s, nil
	}
	// Room for all that can be due, or a slow server would slow down the clock.
	s.paced = make(chan due, int(options.rate*options.duration.Seconds())+1)
	interval := time.Duration(float64(time.Second) / options.rate)
	started := time.Now()
	timer, err := newTimer(interval)
	if err != nil {
		return nil, err
	}
	go s.openLoop(timer, started, interval)
	return s, nil
}

func (s *source) closedLoop() {
	defer close(s.paced)
	for now := time.Now(); now.Before(s.deadline); now = time.Now() {
		s.paced <- s.take(time.Time{})
	}
}

func (s *source) openLoop(timer *os.File, at time.Time, interval time.Duration) {
	defer close(s.paced)
	defer timer.Close()
	var expirations [8]byte
	for at.Before(s.deadline) {
		if _, err := timer.Read(expirations[:]); err != nil {
			panic(err)
		}
		for count := binary.NativeEndian.Uint64(expirations[:]); count > 0; count-- {
			at = at.Add(interval)
			s.paced <- s.take(at)
		}
	}
}

func (s *source) take(at time.Time) due {
	number := s.next
	s.next++
	return due{s.reviews[number%int64(len(s.reviews))], number, at}
}

// A clock of the kernel. Go's own timers wake up as much as a millisecond late when nothing else goes on, and that would
// be most of what is measured; a timerfd is an event like the answers themselves.
func newTimer(interval time.Duration) (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	every := unix.NsecToTimespec(interval.Nanoseconds())
	if err := unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: every, Value: every}, nil); err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	return os.NewFile(uintptr(fd), "timer"), nil
}
